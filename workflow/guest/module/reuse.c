// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reuse probe: how many of some frames Linux can use for movable, or for unmovable pages. It
 * allocates pages of that kind until it has seen all asked frames, and frees them.
 *
 * Taking all of memory for every answer would be honest and slow, so the probe goes straight at
 * the asked frames, with the page allocator's own rules:
 * - it allocates from the zone of the frames (__GFP_DMA, __GFP_DMA32, ...);
 * - it asks for blocks of the sizes in which the frames lie on the free lists, largest first, and
 *   gives a size up when nothing asked has come for a while: the allocator hands out unmovable
 *   pages from the largest movable blocks first and from small ones last, CMA last of all;
 * - it does not ask for sizes below a pageblock in which only a few frames lie: what comes in vain
 *   takes unmovable pages into many pageblocks, and each must be mended;
 * - frames that have not come by then, and that the allocator may use for the kind, are allocated
 *   by address with alloc_contig_range();
 * - frames that the allocator never gives to a kind (ZONE_MOVABLE and CMA to unmovable pages) are
 *   not asked for;
 * - a frame that is in use again by that kind counts without being allocated.
 * With exhaustive set, the page allocator alone answers, however much memory that takes.
 * The probe neither reclaims, nor wakes anyone up, nor digs into the reserves: it must not change
 * what the next cycle finds. Unmovable allocations steal movable pageblocks; those get their type
 * back.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "carveout.h"
#include "probe.h"

/*
 * Freed pages wait on per-CPU lists, by kind and by CPU, where an allocation of the other kind
 * cannot see them. alloc_contig_range() empties these lists.
 */
static void drain_zone(struct probe *probe)
{
	unsigned long pfn, end = zone_end_pfn(probe->zone);

	for (pfn = pageblock_align(probe->zone->zone_start_pfn); pfn < end;
	     pfn += pageblock_nr_pages) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_zone(page) != probe->zone ||
		    pageblock_migratetype(pfn) != MIGRATE_MOVABLE ||
		    extents_pages_within(probe->asked, pfn, pageblock_nr_pages))
			continue;
		if (pageblock_make_movable(pfn))
			return;
	}
}

static void probe_zone(struct probe *probe)
{
	unsigned long target = 0;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		target += probe->wanted[order].pages;
		probe_by_allocator(probe, order, target);
	}
	if (!probe->exhaustive)
		probe_by_address(probe, target);
	probe->obtained += min(probe->seen, target);
}

static void probe_node(struct probe *probe, int nid)
{
	unsigned long obtained;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		probe->zone = &NODE_DATA(nid)->node_zones[i];
		if (!populated_zone(probe->zone))
			continue;
		obtained = probe->obtained;
		if (!probe_wants_zone(probe))
			continue;
		/* Emptied per-CPU lists leave larger blocks: look again. */
		drain_zone(probe);
		probe->obtained = obtained;
		probe_wants_zone(probe);
		probe_zone(probe);
	}
}

static void probe_release(struct probe *probe)
{
	struct page *page, *next;
	int order;

	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		list_for_each_entry_safe(page, next, &probe->held[order], lru) {
			list_del(&page->lru);
			pageblock_types_restore(&probe->before, page_to_pfn(page), order);
			__free_pages(page, order);
			cond_resched();
		}
	}
	pageblock_types_mend(&probe->before);
}

static int probe_all(struct probe *probe)
{
	int nid, order, ret = pageblock_types_note(&probe->before);

	if (ret)
		return ret;
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		INIT_LIST_HEAD(&probe->held[order]);
	for_each_online_node(nid)
		probe_node(probe, nid);
	probe_release(probe);
	pageblock_types_free(&probe->before);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Nobody reads what the probe allocates, so the kernel need not zero it (init_on_alloc=): that
 * would be most of what the probe takes.
 */
static int probe_without_zeroing(struct probe *probe)
{
	bool zeroes = static_key_enabled(&init_on_alloc);
	int ret;

	if (zeroes)
		static_branch_disable(&init_on_alloc);
	ret = probe_all(probe);
	if (zeroes)
		static_branch_enable(&init_on_alloc);
	return ret;
}

int reuse_probe(struct carveout_reuse *reuse)
{
	struct extents asked = {};
	struct probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	int ret = probe ? 0 : -ENOMEM;

	if (!ret && reuse->ranges.count)
		ret = extents_from_user(&asked, &reuse->ranges);
	if (!ret && extents_pages(&asked) > MOST_PAGES)
		ret = -E2BIG;
	if (!ret) {
		probe->movable = reuse->movable;
		probe->exhaustive = reuse->exhaustive;
		probe->asked = reuse->ranges.count ? &asked : &last_given_back;
		ret = probe_without_zeroing(probe);
		reuse->bytes = PFN_PHYS(probe->obtained);
		reuse->allocated_bytes = PFN_PHYS(probe->allocated);
		reuse->untried_bytes = PFN_PHYS(probe->untried);
	}
	extents_free(&asked);
	kfree(probe);
	return ret;
}
