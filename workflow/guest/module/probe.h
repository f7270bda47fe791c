/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a reuse probe. What it is and how it works: reuse.c. */
#ifndef CARVEOUT_PROBE_H
#define CARVEOUT_PROBE_H

#include <linux/types.h>

#include "drain.h"
#include "extents.h"
#include "frames.h"

struct probe {
	bool movable;
	const struct extents *asked;
	struct drain drain;
	unsigned long handed_out;	/* asked frames that the page allocator gave */
	unsigned long by_address;	/* asked frames that alloc_contig_range() gave */
	unsigned long untried;		/* asked frames that are free and that nobody got at */
	unsigned int calls;		/* of alloc_contig_range() */
};

bool probe_may_have(const struct probe *probe, const struct frame_run *run, unsigned long pfn);
void probe_by_address(struct probe *probe);

#endif
