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

/* Compound, so that every page of a block is seen to be in use. */
#define PROBE_GFP (__GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_THISNODE | __GFP_COMP)
#define PATIENCE_PAGES ((unsigned long)PHYS_PFN(SZ_16M))	/* in vain, for a size of block */
#define FEW_BLOCKS 16				/* quicker by address */
#define MOST_BY_ADDRESS 2048			/* calls of alloc_contig_range() */

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
	unsigned long first_block;	/* pageblocks before the probe: */
	unsigned long blocks;
	u8 *migratetypes;
};

static u8 *type_before(struct probe *probe, unsigned long pfn)
{
	return &probe->migratetypes[(pfn - probe->first_block) >> pageblock_order];
}

static int types_note(struct probe *probe)
{
	unsigned long pfn, end = end_ram_pfn();

	probe->first_block = first_ram_pfn();
	probe->blocks = (end - probe->first_block) >> pageblock_order;
	probe->migratetypes = kvzalloc(probe->blocks, GFP_KERNEL);
	if (!probe->migratetypes)
		return -ENOMEM;
	for (pfn = probe->first_block; pfn < end; pfn += pageblock_nr_pages) {
		if (pfn_to_online_page(pfn))
			*type_before(probe, pfn) = pageblock_migratetype(pfn);
	}
	return 0;
}

/* Pageblocks that the probe holds as a whole get their type back before they are freed. */
static void types_restore_held(struct probe *probe, unsigned long pfn, unsigned int order)
{
	unsigned long end = pfn + (1UL << order);

	for (; pageblock_aligned(pfn) && pfn + pageblock_nr_pages <= end; pfn += pageblock_nr_pages)
		pageblock_set_migratetype(pfn, *type_before(probe, pfn));
}

/* Leaves the pageblock movable, with everything that is free in it on the right lists. */
static bool block_make_movable(unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state == FRAME_FREE && !contig_allocate(pfn, 1)) {
			free_contig_range(pfn, 1);
			return true;
		}
		pfn += run.pages;
	}
	return false;
}

/* The others, which the probe had a part of, are mended with the kernel's own means. */
static void types_restore_rest(struct probe *probe)
{
	unsigned long pfn = probe->first_block, i;

	for (i = 0; i < probe->blocks; i++, pfn += pageblock_nr_pages) {
		if (probe->migratetypes[i] == MIGRATE_MOVABLE && pfn_to_online_page(pfn) &&
		    pageblock_migratetype(pfn) != MIGRATE_MOVABLE)
			block_make_movable(pfn);
		cond_resched();
	}
}

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
		if (block_make_movable(pfn))
			return;
	}
}

static bool kind_may_have(const struct probe *probe, const struct page *page, unsigned long pfn)
{
	if (probe->movable)
		return true;
	return page_zonenum(page) != ZONE_MOVABLE && !is_migrate_cma(pageblock_migratetype(pfn));
}

static bool kind_uses(const struct probe *probe, const struct frame_run *run)
{
	if (probe->movable)
		return run->state == FRAME_MOVABLE;
	return run->state == FRAME_SLAB || run->state == FRAME_PAGE_TABLE ||
	       run->state == FRAME_KERNEL;
}

static void want_block(struct wanted *wanted, unsigned long pages)
{
	wanted->pages += pages;
	wanted->blocks++;
}

static void want_run(struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	if (run->state == FRAME_FREE && kind_may_have(probe, run->page, pfn))
		want_block(&probe->wanted[max(free_block_order(pfn), 0)], run->pages);
	else if (kind_uses(probe, run) && !extents_pages_within(&lent, pfn, run->pages))
		probe->obtained += run->pages;
}

/* What is asked of this zone. */
static void want_extent(struct probe *probe, const struct extent *extent)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.page && page_zone(run.page) == probe->zone)
			want_run(probe, &run, pfn);
		pfn += run.pages;
		cond_resched();
	}
}

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
static bool probe_allocate(struct probe *probe, unsigned int order)
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

/* Still free, and not because the allocator may not use it for the kind. */
static bool is_left(const struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	return run->state == FRAME_FREE && page_zone(run->page) == probe->zone &&
	       kind_may_have(probe, run->page, pfn);
}

/* How many frames from pfn on are left, all in pageblocks of one type. */
static unsigned long pages_left(const struct probe *probe, unsigned long pfn, unsigned long end)
{
	unsigned long at = pfn;

	while (at < end) {
		struct frame_run run = frame_stretch_read(at, end);

		if (!is_left(probe, &run, at) ||
		    pageblock_migratetype(at) != pageblock_migratetype(pfn))
			break;
		at += run.pages;
		cond_resched();
	}
	return at - pfn;
}

/* False when it was refused. */
static bool probe_by_address(struct probe *probe, unsigned long pfn, unsigned long pages)
{
	unsigned long i;

	if (probe->by_address == MOST_BY_ADDRESS) {
		probe->untried += pages;
		return true;
	}
	probe->by_address++;
	if (contig_allocate_anywhere(pfn, pages))
		return false;
	probe->seen += pages;
	probe->allocated += pages;
	for (i = 0; i < pages; i++)
		list_add(&pfn_to_page(pfn + i)->lru, &probe->held[0]);
	return true;
}

/* In pieces as large as they are; of what is refused, pageblock by pageblock. */
static void probe_extent_by_address(struct probe *probe, const struct extent *extent,
				    unsigned long target)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages, refused = pfn;

	while (pfn < end && probe->seen < target) {
		unsigned long limit = pfn < refused ? min(end, pageblock_end_pfn(pfn)) : end;
		unsigned long pages = pages_left(probe, pfn, limit);

		if (!pages)
			pfn += frame_stretch_read(pfn, end).pages;
		else if (probe_by_address(probe, pfn, pages) || pfn < refused)
			pfn += pages;
		else
			refused = pfn + pages;
	}
}

/* Whole pageblocks come so cheaply that more in vain still costs less than the rest by address. */
static unsigned long patience_pages(const struct probe *probe, int order, unsigned long target)
{
	if (order < pageblock_order)
		return probe->wanted[order].blocks > FEW_BLOCKS ? PATIENCE_PAGES : 0;
	return max(PATIENCE_PAGES, 2 * (target - probe->seen));
}

static bool probe_goes_on(const struct probe *probe, int order, unsigned long target)
{
	if (probe->seen >= target || fatal_signal_pending(current))
		return false;
	return probe->exhaustive || probe->in_vain < patience_pages(probe, order, target);
}

static void probe_zone(struct probe *probe)
{
	unsigned long i, target = 0;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		target += probe->wanted[order].pages;
		probe->in_vain = 0;
		while (probe_goes_on(probe, order, target) && probe_allocate(probe, order))
			cond_resched();
	}
	for (i = 0; i < probe->asked->count && !probe->exhaustive; i++)
		probe_extent_by_address(probe, &probe->asked->list[i], target);
	probe->obtained += min(probe->seen, target);
}

static bool zone_is_asked_for(struct probe *probe)
{
	unsigned long i, wanted = 0;

	memset(probe->wanted, 0, sizeof(probe->wanted));
	probe->seen = 0;
	for (i = 0; i < probe->asked->count; i++)
		want_extent(probe, &probe->asked->list[i]);
	for (i = 0; i < NR_PAGE_ORDERS; i++)
		wanted += probe->wanted[i].pages;
	return wanted;
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
		if (!zone_is_asked_for(probe))
			continue;
		/* Emptied per-CPU lists leave larger blocks: look again. */
		drain_zone(probe);
		probe->obtained = obtained;
		zone_is_asked_for(probe);
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
			types_restore_held(probe, page_to_pfn(page), order);
			__free_pages(page, order);
			cond_resched();
		}
	}
	types_restore_rest(probe);
}

static int probe_all(struct probe *probe)
{
	int nid, order, ret = types_note(probe);

	if (ret)
		return ret;
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		INIT_LIST_HEAD(&probe->held[order]);
	for_each_online_node(nid)
		probe_node(probe, nid);
	probe_release(probe);
	kvfree(probe->migratetypes);
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
