// SPDX-License-Identifier: GPL-2.0-only
/* The reuse probe takes blocks from the page allocator, which chooses them. */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "probe.h"

/* Compound, so that every page of a block is seen to be in use. */
#define PROBE_GFP (__GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_THISNODE | __GFP_COMP)
#define PATIENCE_PAGES ((unsigned long)PHYS_PFN(SZ_16M))	/* in vain, for a size of block */
#define FEW_BLOCKS 16				/* quicker by address */

static gfp_t probe_gfp(const struct probe *probe)
{
	gfp_t gfp = PROBE_GFP | (probe->movable ? __GFP_MOVABLE : 0);

	switch (zone_idx(probe->zone)) {
#ifdef CONFIG_ZONE_DMA
	case ZONE_DMA:
		return gfp | __GFP_DMA;
#endif
#ifdef CONFIG_ZONE_DMA32
	case ZONE_DMA32:
		return gfp | __GFP_DMA32;
#endif
	case ZONE_MOVABLE:
		return probe->movable ? gfp | __GFP_HIGHMEM : gfp;
	default:
		return gfp;
	}
}

/* One block; false when the zone has none of this size left. */
static bool allocate_block(struct probe *probe, unsigned int order)
{
	struct page *page = alloc_pages_node(zone_to_nid(probe->zone), probe_gfp(probe), order);
	unsigned long asked;

	if (!page)
		return false;
	if (page_zone(page) != probe->zone && !probe->exhaustive) {
		__free_pages(page, order);
		return false;
	}
	list_add(&page->lru, &probe->held[order]);
	asked = extents_pages_within(probe->asked, page_to_pfn(page), 1UL << order);
	probe->allocated += 1UL << order;
	probe->seen += asked;
	probe->in_vain = asked ? 0 : probe->in_vain + (1UL << order);
	return true;
}

/* Whole pageblocks come so cheaply that more in vain still costs less than the rest by address. */
static unsigned long patience_pages(const struct probe *probe, int order, unsigned long target)
{
	if (order < pageblock_order)
		return probe->wanted[order].blocks > FEW_BLOCKS ? PATIENCE_PAGES : 0;
	return max(PATIENCE_PAGES, 2 * (target - probe->seen));
}

static bool goes_on(const struct probe *probe, int order, unsigned long target)
{
	if (probe->seen >= target || fatal_signal_pending(current))
		return false;
	return probe->exhaustive || probe->in_vain < patience_pages(probe, order, target);
}

/* Blocks of one size, until as many asked frames as the target have come in all. */
void probe_by_allocator(struct probe *probe, int order, unsigned long target)
{
	probe->in_vain = 0;
	while (goes_on(probe, order, target) && allocate_block(probe, order))
		cond_resched();
}
