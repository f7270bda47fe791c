/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel itself counts of its memory, all CPUs' shares added up. In frames. */
#ifndef CARVEOUT_COUNTERS_H
#define CARVEOUT_COUNTERS_H

#include "kernels.h"

struct counters {
	unsigned long free;		/* in the buddy allocator */
	unsigned long free_cma;
	unsigned long waiting;		/* on per-CPU lists */
	unsigned long page_tables;
	unsigned long managed;
	unsigned long free_blocks[NR_PAGE_ORDERS];	/* of each order, in blocks */
};

void counters_read(struct counters *counters);
long counters_of_nodes(enum node_stat_item item);

#endif
