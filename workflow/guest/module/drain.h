/* SPDX-License-Identifier: GPL-2.0-only */
/* All that the page allocator hands out, held for a while. How it is taken: drain.c. */
#ifndef CARVEOUT_DRAIN_H
#define CARVEOUT_DRAIN_H

#include <linux/list.h>
#include <linux/types.h>

#include "kernels.h"
#include "pageblocks.h"

struct drain {
	struct list_head held[NR_PAGE_ORDERS];
	struct pageblock_types before;
	unsigned long pages;		/* held */
	bool has_reserves;		/* nothing is left: whoever holds it must not sleep */
	/* Called for every block that is taken. */
	void (*took)(struct page *page, unsigned int order, void *data);
	void *data;
};

void drain_per_cpu_lists(void);
int drain_begin(struct drain *drain);
void drain_take_all(struct drain *drain, bool movable);
void drain_take_reserves(struct drain *drain);
void drain_reclaim(struct drain *drain, unsigned long pages);
void drain_hold(struct drain *drain, struct page *page, unsigned int order);
int drain_end(struct drain *drain);

#endif
