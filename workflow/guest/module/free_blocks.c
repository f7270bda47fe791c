// SPDX-License-Identifier: GPL-2.0-only
/* How many blocks of each order the page allocator has, by what its frames say. */

#include <linux/mm.h>
#include <linux/page-flags.h>

#include "carveout_uapi.h"
#include "frames.h"
#include "free_blocks.h"

/* A block larger than a pageblock counts where it begins. Pages on per-CPU lists are in none. */
void free_blocks_add(struct carveout_count *blocks, unsigned long pfn, unsigned long end)
{
	while (pfn < end) {
		int order = PageBuddy(pfn_to_page(pfn)) ? free_block_order(pfn) : -1;

		if (order >= 0)
			blocks[order].frames++;
		else if (pageblock_aligned(pfn))
			order = free_block_order(pfn);
		pfn += order < 0 ? 1 : ALIGN_DOWN(pfn, 1UL << order) + (1UL << order) - pfn;
	}
}
