// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends the largest range of whole pageblocks that alloc_contig_range() gives. By what frames say,
 * runs of pageblocks without a page that cannot move are found, and of the longest the one with
 * fewest pages in use is taken. What frames say is not trusted: the kernel itself is asked for each
 * pageblock that seems to be blocked, and for each of a range that it refuses.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "carveout.h"
#include "costs.h"
#include "drain.h"
#include "waiting.h"

#define BLOCKED U32_MAX

struct blocks {
	unsigned long first_pfn;
	unsigned long count;
	u32 *used_pages;	/* of each, or BLOCKED */
};

static unsigned long block_pfn(const struct blocks *blocks, unsigned long block)
{
	return blocks->first_pfn + (block << pageblock_order);
}

static u32 count_used(unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;
	u32 used = 0;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state != FRAME_FREE)
			used += run.pages;
		pfn += run.pages;
	}
	return used;
}

static int blocks_note(struct blocks *blocks, u32 area)
{
	unsigned long block, pfn;
	int ret;

	drain_per_cpu_lists();
	blocks->first_pfn = first_ram_pfn();
	blocks->count = (end_ram_pfn() - blocks->first_pfn) >> pageblock_order;
	blocks->used_pages = kvmalloc_array(blocks->count, sizeof(*blocks->used_pages),
					    GFP_KERNEL);
	if (!blocks->used_pages)
		return -ENOMEM;
	ret = waiting_note();
	for (block = 0; block < blocks->count && !ret; block++) {
		pfn = block_pfn(blocks, block);
		blocks->used_pages[block] =
			count_blockers(area, pfn, pfn + pageblock_nr_pages) ?
			BLOCKED : count_used(pfn);
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}

/* A range in two zones is not for alloc_contig_range(). */
static bool follows(const struct blocks *blocks, unsigned long block)
{
	struct page *page = pfn_to_page(block_pfn(blocks, block));

	return page_zone(page) == page_zone(page - 1);
}

static unsigned long longest_run(const struct blocks *blocks)
{
	unsigned long block, run = 0, longest = 0;

	for (block = 0; block < blocks->count; block++) {
		if (blocks->used_pages[block] == BLOCKED)
			run = 0;
		else if (run && follows(blocks, block))
			run++;
		else
			run = 1;
		longest = max(longest, run);
	}
	return longest;
}

/* The first block of the run of so many with fewest pages in use; there is one. */
static unsigned long emptiest_run(const struct blocks *blocks, unsigned long size)
{
	unsigned long block, run = 0, best = 0;
	u64 used = 0, fewest = U64_MAX;

	for (block = 0; block < blocks->count; block++) {
		u32 own = blocks->used_pages[block];

		if (own == BLOCKED || (run && !follows(blocks, block))) {
			run = 0;
			used = 0;
			if (own == BLOCKED)
				continue;
		}
		used += own;
		if (++run > size)
			used -= blocks->used_pages[block - size];
		if (run >= size && used < fewest) {
			fewest = used;
			best = block + 1 - size;
		}
	}
	return best;
}

/* Whether the kernel gives a pageblock for itself. */
static bool is_given(struct carveout_largest *request, unsigned long pfn)
{
	int ret = contig_allocate(pfn, pageblock_nr_pages);

	if (ret)
		request->kernel_error = -ret;
	else
		free_contig_range(pfn, pageblock_nr_pages);
	return !ret;
}

/* Whether it could be of use at all: online, in the area, and nobody's. */
static bool may_be_asked(unsigned long pfn, u32 area)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page || is_migrate_cma(pageblock_migratetype(pfn)))
		return false;
	if (area == CARVEOUT_AREA_MOVABLE && page_zonenum(page) != ZONE_MOVABLE)
		return false;
	return !extents_pages_within(&lent, pfn, pageblock_nr_pages);
}

/* Takes the kernel's word for what seems to be blocked. */
static int ask_for_blocked(struct carveout_largest *request, struct blocks *blocks)
{
	unsigned long block, pfn;

	for (block = 0; block < blocks->count; block++) {
		pfn = block_pfn(blocks, block);
		if (blocks->used_pages[block] == BLOCKED && may_be_asked(pfn, request->area) &&
		    is_given(request, pfn))
			blocks->used_pages[block] = 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Marks the pageblocks of a run that the kernel does not give. Returns whether there are any. */
static bool mark_refused(struct carveout_largest *request, struct blocks *blocks,
			 unsigned long first, unsigned long size)
{
	unsigned long block;
	bool found = false;

	for (block = first; block < first + size; block++) {
		request->attempts++;
		if (is_given(request, block_pfn(blocks, block)))
			continue;
		blocks->used_pages[block] = BLOCKED;
		found = true;
	}
	return found;
}

/* Where no pageblock is to blame, the range is too large for what is free elsewhere. */
static int take_longest(struct carveout_largest *request, struct blocks *blocks,
			struct lend *lend)
{
	unsigned long most = PHYS_PFN(request->bytes) >> pageblock_order, first, size;

	while ((size = min(most, longest_run(blocks)))) {
		first = emptiest_run(blocks, size);
		request->attempts++;
		if (!contig_take(lend, block_pfn(blocks, first), size << pageblock_order)) {
			request->granted_bytes = PFN_PHYS(size << pageblock_order);
			return 0;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!mark_refused(request, blocks, first, size))
			most = size - 1;
	}
	return -ENXIO;
}

static int largest_search(struct carveout_largest *request, struct blocks *blocks,
			  struct lend *lend)
{
	int ret = blocks_note(blocks, request->area);

	if (!ret && longest_run(blocks) < PHYS_PFN(request->bytes) >> pageblock_order) {
		cost_enter(CARVEOUT_COST_UNCOUNTED);
		ret = ask_for_blocked(request, blocks);
		cost_leave();
	}
	return ret ?: take_longest(request, blocks, lend);
}

static int largest_lend_one(struct carveout_largest *request)
{
	struct lend *lend = contig_new();
	struct blocks blocks = {};
	int ret = lend ? largest_search(request, &blocks, lend) : -ENOMEM;

	kvfree(blocks.used_pages);
	if (ret) {
		if (lend)
			lend_free(lend);
		return ret;
	}
	cost_enter(CARVEOUT_COST_UNCOUNTED);
	ret = contig_add(lend);
	cost_leave();
	return ret;
}

int largest_lend(struct carveout_largest *request)
{
	int ret = contig_check(request->bytes, PFN_PHYS(pageblock_nr_pages));

	if (ret)
		return ret;
	if (!IS_ALIGNED(PHYS_PFN(request->bytes), pageblock_nr_pages) || request->reserved ||
	    request->reserved_too)
		return -EINVAL;
	if (request->area != CARVEOUT_AREA_ANY && request->area != CARVEOUT_AREA_MOVABLE)
		return -EINVAL;
	request->granted_bytes = 0;
	request->attempts = 0;
	request->kernel_error = 0;
	cost_enter(CARVEOUT_COST_SEARCH);
	ret = largest_lend_one(request);
	cost_leave();
	if (!ret && request->granted_bytes < request->bytes)
		ret = request->kernel_error ? -(int)request->kernel_error : -ENXIO;
	return ret;
}
