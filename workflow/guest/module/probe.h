/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a reuse probe, and how it gets at frames. What it is and how it works: reuse.c. */
#ifndef CARVEOUT_PROBE_H
#define CARVEOUT_PROBE_H

#include <linux/list.h>
#include <linux/mmzone.h>
#include <linux/types.h>

#include "extents.h"
#include "frames.h"
#include "pageblocks.h"

/* Asked frames in free blocks of one size. */
struct wanted {
	unsigned long pages;
	unsigned long blocks;
};

struct probe {
	bool movable;
	bool exhaustive;
	const struct extents *asked;
	struct zone *zone;		/* that is being probed */
	struct wanted wanted[NR_PAGE_ORDERS];	/* there */
	unsigned long seen;		/* of them */
	unsigned long obtained;		/* in all zones */
	unsigned long allocated;
	unsigned long in_vain;		/* pages since the last that was asked for */
	unsigned long untried;		/* frames too scattered to ask for each by address */
	unsigned int by_address;	/* calls so far */
	struct list_head held[NR_PAGE_ORDERS];
	struct pageblock_types before;	/* the probe */
};

bool probe_wants_zone(struct probe *probe);
bool probe_may_have(const struct probe *probe, const struct frame_run *run, unsigned long pfn);
void probe_by_allocator(struct probe *probe, int order, unsigned long target);
void probe_by_address(struct probe *probe, unsigned long target);

#endif
