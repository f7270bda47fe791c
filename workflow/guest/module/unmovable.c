// SPDX-License-Identifier: GPL-2.0-only
/*
 * A load: kernel pages that cannot move, one in each of so many pageblocks, where the kernel
 * itself might have put them, alone or in clusters of neighbours. They are held until the module is
 * unloaded.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "carveout.h"
#include "owners.h"
#include "waiting.h"

static LIST_HEAD(placed);

/* Zones and pageblocks that the page allocator never uses for unmovable pages are left out. */
static bool block_takes_unmovable(unsigned long block)
{
	unsigned long pfn = block, end = block + pageblock_nr_pages;
	struct page *page = pfn_to_online_page(pfn);

	if (!page || page_zonenum(page) == ZONE_MOVABLE)
		return false;
	if (is_migrate_cma(pageblock_migratetype(pfn)))
		return false;
	if (extents_pages_within(&lent, pfn, pageblock_nr_pages))
		return false;
	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (!frame_run_can_move(&run) || run.state == FRAME_HUGETLB)
			return false;
		pfn += run.pages;
	}
	return true;
}

/* How many there are; the first of them go to the list, as far as it goes. */
static unsigned long collect_blocks(unsigned long *blocks, unsigned long room)
{
	unsigned long pfn, end = end_ram_pfn(), count = 0;

	for (pfn = first_ram_pfn(); pfn < end; pfn += pageblock_nr_pages) {
		if (fatal_signal_pending(current))
			break;
		cond_resched();
		if (!block_takes_unmovable(pfn))
			continue;
		if (count < room)
			blocks[count] = pfn;
		count++;
	}
	return count;
}

/* Brings a random one of the clusters from here on to this place. */
static void draw(unsigned long *clusters, unsigned long at, unsigned long count, u64 seed)
{
	unsigned long other = at + seeded(seed, at) % (count - at);

	swap(clusters[at], clusters[other]);
}

static bool place_page(unsigned long pfn)
{
	struct frame_run run = frame_run_read(pfn, pfn + 1);

	if (!frame_run_can_move(&run) || contig_allocate(pfn, 1))
		return false;
	/* alloc_contig_range() does not say that it hands out a page. */
	owner_note(pfn, 1);
	list_add(&pfn_to_page(pfn)->lru, &placed);
	return true;
}

/* A few places in the block, the first at a random offset. */
static bool place_in_block(unsigned long block, u64 seed)
{
	unsigned long offset = seeded(seed, block) % pageblock_nr_pages;
	unsigned long try, distance = pageblock_nr_pages / 4 + 1;

	for (try = 0; try < 4; try++) {
		if (place_page(block + (offset + try * distance) % pageblock_nr_pages))
			return true;
	}
	return false;
}

static int place_in_cluster(struct carveout_unmovable *request, const unsigned long *blocks,
			    unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count && request->pages < request->pageblocks; i++) {
		if (place_in_block(blocks[i], request->seed))
			request->pages++;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int place_all(struct carveout_unmovable *request, const unsigned long *blocks,
		     unsigned long count)
{
	unsigned long at, nr = DIV_ROUND_UP(count, request->cluster_pageblocks);
	unsigned long *clusters = kvmalloc_array(nr + 1, sizeof(*clusters), GFP_KERNEL);
	int ret = 0;

	if (!clusters)
		return -ENOMEM;
	for (at = 0; at < nr; at++)
		clusters[at] = at * request->cluster_pageblocks;
	for (at = 0; at < nr && request->pages < request->pageblocks && !ret; at++) {
		draw(clusters, at, nr, request->seed);
		ret = place_in_cluster(request, blocks + clusters[at],
				       min(count - clusters[at], request->cluster_pageblocks));
	}
	kvfree(clusters);
	return ret ?: request->pages < request->pageblocks ? -ENOSPC : 0;
}

int unmovable_place(struct carveout_unmovable *request)
{
	unsigned long room, count;
	unsigned long *blocks;
	int ret = request->cluster_pageblocks ? waiting_note() : -EINVAL;

	if (ret)
		return ret;
	room = collect_blocks(NULL, 0);
	blocks = kvmalloc_array(room + 1, sizeof(*blocks), GFP_KERNEL);
	if (!blocks)
		return -ENOMEM;
	count = min(collect_blocks(blocks, room), room);
	request->eligible = count;
	request->pages = 0;
	ret = place_all(request, blocks, count);
	kvfree(blocks);
	return ret;
}

void unmovable_exit(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &placed, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}
