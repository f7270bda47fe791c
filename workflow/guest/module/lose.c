// SPDX-License-Identifier: GPL-2.0-only
/*
 * A planted error, for tests: frees some lent frames behind the lend's back, which goes on as if
 * they were its own, but for its give back.
 *
 * A whole free block of the largest size, and none of it on a per-CPU list: small allocations are
 * the last to get there, so the host lives on until it is put to work.
 */

#include <linux/gfp.h>
#include <linux/mm.h>

#include "carveout.h"
#include "drain.h"

static int lose_block(struct lend *lend, unsigned long first)
{
	unsigned long pfn, pages = MAX_ORDER_NR_PAGES;
	int ret;

	if (extents_pages_within(&lend->extents, first, pages) != pages)
		return -ERANGE;
	if (extents_pages_within(&lend->lost, first, pages))
		return -EEXIST;
	ret = extents_append(&lend->lost, first, pages);
	if (ret)
		return ret;
	extents_sort_and_merge(&lend->lost);
	for (pfn = first; pfn < first + pages; pfn++)
		__free_page(pfn_to_page(pfn));
	drain_per_cpu_lists();
	return 0;
}

/* The first such block of the newest lend that begins at this page or after it. */
int lends_lose(u64 index)
{
	struct lend *lend = list_first_entry_or_null(&lends, struct lend, node);

	if (!lend || !lend->ops->frees_pages)
		return -EOPNOTSUPP;
	if (index >= lend->extents.list->pages)
		return -ERANGE;
	return lose_block(lend, ALIGN(lend->extents.list->pfn + index, MAX_ORDER_NR_PAGES));
}
