// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts the host to work while memory is lent: it takes what it believes to be free and writes into
 * every page of it, at the very place at which the pattern of that frame would be. A lent frame
 * that the host believes to be free is found out so, whatever its struct page says.
 */

#include <linux/mm.h>
#include <linux/sizes.h>

#include "carveout.h"
#include "drain.h"

#define RECLAIM_PAGES PHYS_PFN(SZ_32M)	/* at most */

static void scribble_block(struct page *page, unsigned int order, void *data)
{
	const struct carveout_scribble *scribble = data;
	unsigned long i, pfn = page_to_pfn(page);

	for (i = 0; i < 1UL << order; i++)
		pattern_scribble(page_address(page + i), scribble->seed, pfn + i);
}

/* Reclaims only when it is told to: the next request shall meet the host as it was. */
int scribble_free_memory(struct carveout_scribble *scribble)
{
	struct drain drain = { .took = scribble_block, .data = scribble };
	int ret = drain_begin(&drain);

	if (ret)
		return ret;
	drain_take_all(&drain, true);
	drain_take_all(&drain, false);
	if (scribble->reclaim)
		drain_reclaim(&drain, RECLAIM_PAGES);
	drain_take_reserves(&drain);
	scribble->bytes = PFN_PHYS(drain.pages);
	return drain_end(&drain);
}
