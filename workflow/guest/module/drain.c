// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes from the page allocator what it has: in every zone, the largest blocks first, until it
 * hands out no more, and gives all of it back. It neither reclaims, nor wakes anyone up, nor digs
 * into the reserves, unless it is told to. Allocations of one kind steal pageblocks of another;
 * those get their type back, and per-CPU lists are left empty: the next to allocate shall meet
 * what it would have met.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>

#include "carveout.h"
#include "drain.h"
#include "waiting.h"
#include "zones.h"

/* Compound, so that every page of a block is seen to be in use. */
#define DRAIN_GFP (__GFP_NOWARN | __GFP_NORETRY | __GFP_THISNODE | __GFP_COMP)
#define NO_RESERVES __GFP_NOMEMALLOC

/* Each zone is asked by its own name: from above, its lowmem_reserve[] would stay. */
static gfp_t zone_gfp(enum zone_type zone, bool movable)
{
	gfp_t gfp = DRAIN_GFP | (movable ? __GFP_MOVABLE : 0);

	switch (zone) {
#ifdef CONFIG_ZONE_DMA
	case ZONE_DMA:
		return gfp | __GFP_DMA;
#endif
#ifdef CONFIG_ZONE_DMA32
	case ZONE_DMA32:
		return gfp | __GFP_DMA32;
#endif
	case ZONE_MOVABLE:
		return movable ? gfp | __GFP_HIGHMEM : gfp;
	default:
		return gfp;
	}
}

/*
 * An allocation that steals boosts the zone's watermarks, until kswapd has reclaimed for it: the
 * drain would stop early, and the next to allocate would pay for it. One request at a time.
 */
static unsigned long boosts_before[MAX_NUMNODES][MAX_NR_ZONES];

static void note_boost(struct zone *zone)
{
	boosts_before[zone_to_nid(zone)][zone_idx(zone)] = READ_ONCE(zone->watermark_boost);
}

static void restore_boost(struct zone *zone)
{
	WRITE_ONCE(zone->watermark_boost, boosts_before[zone_to_nid(zone)][zone_idx(zone)]);
}

static void for_all_zones(void (*visit)(struct zone *zone))
{
	struct zone *zone = NULL;

	while ((zone = next_zone_with_pages(zone)))
		visit(zone);
}

void drain_hold(struct drain *drain, struct page *page, unsigned int order)
{
	list_add(&page->lru, &drain->held[order]);
	drain->pages += 1UL << order;
}

static bool take_block(struct drain *drain, int nid, gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages_node(nid, gfp, order);

	if (!page)
		return false;
	drain_hold(drain, page, order);
	if (drain->took)
		drain->took(page, order, drain->data);
	return true;
}

static void take_zone(struct drain *drain, struct zone *zone, bool movable)
{
	gfp_t gfp = zone_gfp(zone_idx(zone), movable) | NO_RESERVES;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		while (!fatal_signal_pending(current) &&
		       take_block(drain, zone_to_nid(zone), gfp, order)) {
			for_all_zones(restore_boost);
			cond_resched();
		}
	}
}

/* All that the allocator would hand out for pages that can move, or for others. */
void drain_take_all(struct drain *drain, bool movable)
{
	int nid, i;

	for_each_online_node(nid) {
		for (i = MAX_NR_ZONES - 1; i >= 0; i--) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			if (populated_zone(zone))
				take_zone(drain, zone, movable);
		}
	}
}

/*
 * Pages that the allocator has to reclaim first, by and for this task alone: kswapd sleeps on.
 * __GFP_NORETRY gives up where others would call the OOM killer.
 */
void drain_reclaim(struct drain *drain, unsigned long pages)
{
	gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_KSWAPD_RECLAIM & ~__GFP_HARDWALL) |
		    __GFP_NOWARN | __GFP_NORETRY | NO_RESERVES;

	while (pages && !fatal_signal_pending(current) &&
	       take_block(drain, NUMA_NO_NODE, gfp, 0)) {
		pages--;
		cond_resched();
	}
}

static bool empty_lists_through(struct zone *zone, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	return page && page_zone(page) == zone && pageblock_migratetype(pfn) == MIGRATE_MOVABLE &&
	       pageblock_convert(pfn, MIGRATE_MOVABLE);
}

/*
 * Freed pages wait on per-CPU lists, by kind and by CPU, where an allocation of the other kind
 * cannot see them; and pages on their way to an LRU list in per-CPU batches, which hold them.
 * alloc_contig_range() empties both, of all CPUs, also when it takes just one page.
 */
static void empty_lists_of(struct zone *zone)
{
	unsigned long pfn, end = zone_end_pfn(zone);

	for (pfn = pageblock_align(zone->zone_start_pfn); pfn < end; pfn += pageblock_nr_pages) {
		if (empty_lists_through(zone, pfn))
			return;
		cond_resched();
	}
}

void drain_per_cpu_lists(void)
{
	for_all_zones(empty_lists_of);
}

static struct page *held_outside_cma(const struct drain *drain)
{
	struct page *page;

	list_for_each_entry(page, &drain->held[MAX_PAGE_ORDER], lru) {
		if (!is_migrate_cma(pageblock_migratetype(page_to_pfn(page))))
			return page;
	}
	return NULL;
}

/* Where nothing is left to empty per-CPU lists by, a block that is held does. */
static void drain_per_cpu_lists_by_held(struct drain *drain)
{
	struct page *page = held_outside_cma(drain);

	if (!page)
		return;
	list_del(&page->lru);
	drain->pages -= MAX_ORDER_NR_PAGES;
	__free_pages(page, MAX_PAGE_ORDER);
	pageblock_convert(page_to_pfn(page), pageblock_migratetype(page_to_pfn(page)));
}

/*
 * Page by page: larger blocks would make the allocator set some aside (MIGRATE_HIGHATOMIC). Nobody
 * gets to run meanwhile on this CPU: it would find no memory.
 */
static void take_zone_reserves(struct drain *drain, struct zone *zone, bool movable)
{
	gfp_t gfp = zone_gfp(zone_idx(zone), movable) | __GFP_MEMALLOC;

	while (take_block(drain, zone_to_nid(zone), gfp, 0))
		;
}

/*
 * What lies below the watermarks, and what waits on per-CPU lists in blocks of other sizes. To be
 * given back at once: emptying per-CPU lists sleeps, so that is done once, while there is memory.
 * With more CPUs than one, somebody else may need the reserves: there they stay.
 */
void drain_take_reserves(struct drain *drain)
{
	int nid, i;

	if (drain->has_reserves)
		return;
	drain->has_reserves = true;
	drain_per_cpu_lists();
	drain_per_cpu_lists_by_held(drain);
	if (num_online_cpus() > 1)
		return;
	for_each_online_node(nid) {
		for (i = MAX_NR_ZONES - 1; i >= 0; i--) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			if (!populated_zone(zone))
				continue;
			take_zone_reserves(drain, zone, true);
			take_zone_reserves(drain, zone, false);
		}
	}
}

int drain_begin(struct drain *drain)
{
	int order, ret;

	for_all_zones(note_boost);
	drain->pages = 0;
	drain->has_reserves = false;
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		INIT_LIST_HEAD(&drain->held[order]);
	drain_per_cpu_lists();
	ret = waiting_note();
	return ret ?: pageblock_types_note(&drain->before);
}

/* What the kernel keeps back from ordinary allocations, in all. */
static unsigned long reserve_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for_each_online_node(nid)
		pages += NODE_DATA(nid)->totalreserve_pages;
	return pages;
}

/* Nobody else gets to run before there is memory above the watermarks again. */
static void release_blocks(struct drain *drain)
{
	unsigned long released = 0, reserve = reserve_pages();
	struct page *page, *next;
	int order;

	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		list_for_each_entry_safe(page, next, &drain->held[order], lru) {
			list_del(&page->lru);
			__free_pages(page, order);
			released += 1UL << order;
			if (released > reserve)
				cond_resched();
		}
	}
}

/*
 * Whatever happened, all is given back; the errno says whether the taking was cut short. The types
 * of pageblocks are put right while all that is free is held, the reserves, too.
 */
int drain_end(struct drain *drain)
{
	drain->took = NULL;
	drain_take_reserves(drain);
	pageblock_types_restore(&drain->before);
	release_blocks(drain);
	pageblock_types_mend(&drain->before);
	drain_per_cpu_lists();
	pageblock_types_free(&drain->before);
	for_all_zones(restore_boost);
	return fatal_signal_pending(current) ? -EINTR : 0;
}
