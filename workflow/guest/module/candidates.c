// SPDX-License-Identifier: GPL-2.0-only
/* Finds the candidates of contig.c, on a grid over all memory, and puts them in order. */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "candidates.h"
#include "carveout.h"
#include "waiting.h"

#define MOST_CANDIDATES (SZ_1M / sizeof(struct candidate))

static bool run_is_hopeless(const struct frame_run *run, u32 area)
{
	if (run->state == FRAME_ABSENT || run->state == FRAME_RESERVED)
		return true;
	return area == CARVEOUT_AREA_MOVABLE && page_zonenum(run->page) != ZONE_MOVABLE;
}

static void outlook_extend(struct outlook *outlook, unsigned long end)
{
	struct frame_run run = frame_stretch_read(outlook->checked, end);
	int zone;

	if (run_is_hopeless(&run, outlook->area)) {
		outlook->floor = outlook->checked + run.pages;
	} else {
		/* A range in two zones is not for alloc_contig_range(). */
		zone = page_to_nid(run.page) * MAX_NR_ZONES + page_zonenum(run.page);
		if (zone != outlook->zone)
			outlook->floor = outlook->checked;
		outlook->zone = zone;
	}
	outlook->checked += run.pages;
}

/* The first candidate at or after pfn on the grid that may work, or none: end. */
static unsigned long next_candidate(struct outlook *outlook, unsigned long pfn,
				    unsigned long end, const struct carveout_contig *request)
{
	unsigned long pages = PHYS_PFN(request->piece_bytes);
	unsigned long step = PHYS_PFN(request->align_bytes);

	while (pages <= end && pfn <= end - pages) {
		outlook->checked = max(outlook->checked, pfn);
		while (outlook->checked < pfn + pages && outlook->floor <= pfn)
			outlook_extend(outlook, pfn + pages);
		if (outlook->floor <= pfn)
			return pfn;
		pfn += DIV_ROUND_UP(outlook->floor - pfn, step) * step;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return end;
}

static unsigned long used_pages(unsigned long pfn, unsigned long pages)
{
	unsigned long end = pfn + pages, used = 0;

	while (pfn < end && !fatal_signal_pending(current)) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state != FRAME_FREE)
			used += run.pages;
		pfn += run.pages;
		cond_resched();
	}
	return used;
}

/* Where candidates overlap, only what the next has and the last had not is looked at. */
static unsigned long used_pages_after(const struct candidate *last, unsigned long pfn,
				      unsigned long pages)
{
	unsigned long step = last ? pfn - last->pfn : pages;

	if (step >= pages)
		return used_pages(pfn, pages);
	return last->used_pages - used_pages(last->pfn, step) +
	       used_pages(last->pfn + pages, step);
}

static int by_use(const void *left, const void *right)
{
	const struct candidate *one = left, *other = right;

	if (one->used_pages != other->used_pages)
		return one->used_pages < other->used_pages ? -1 : 1;
	return one->pfn < other->pfn ? -1 : one->pfn > other->pfn;
}

static bool next_by_address(struct candidates *candidates, unsigned long *pfn)
{
	const struct carveout_contig *request = candidates->request;
	unsigned long end = end_ram_pfn();

	*pfn = next_candidate(&candidates->outlook, candidates->pfn, end, request);
	candidates->pfn = *pfn + PHYS_PFN(request->align_bytes);
	return *pfn < end;
}

static int highest_first(const void *left, const void *right)
{
	const struct candidate *one = left, *other = right;

	return one->pfn > other->pfn ? -1 : one->pfn < other->pfn;
}

static int candidates_sort(struct candidates *candidates)
{
	bool by_address = candidates->request->policy == CARVEOUT_HIGHEST_FIRST;
	unsigned long pages = PHYS_PFN(candidates->request->piece_bytes), pfn;
	struct candidate *last = NULL;

	while (next_by_address(candidates, &pfn)) {
		struct candidate *next = &candidates->sorted[candidates->count];

		if (candidates->count == MOST_CANDIDATES)
			return -E2BIG;
		next->used_pages = by_address ? 0 : used_pages_after(last, pfn, pages);
		next->pfn = pfn;
		last = next;
		candidates->count++;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	sort(candidates->sorted, candidates->count, sizeof(*candidates->sorted),
	     by_address ? highest_first : by_use, NULL);
	return 0;
}

static unsigned long most_candidates(const struct candidates *candidates)
{
	unsigned long step = PHYS_PFN(candidates->request->align_bytes);
	unsigned long most = (end_ram_pfn() - min(candidates->pfn, end_ram_pfn())) / step + 1;

	return min(most, MOST_CANDIDATES);
}

static void candidates_rewind(struct candidates *candidates)
{
	const struct carveout_contig *request = candidates->request;

	candidates->outlook = (struct outlook){ .area = request->area, .zone = -1 };
	candidates->pfn = ALIGN(first_ram_pfn(), PHYS_PFN(request->align_bytes));
}

int candidates_begin(struct candidates *candidates, const struct carveout_contig *request,
		     const struct extents *taken)
{
	int ret;

	*candidates = (struct candidates){
		.request = request,
		.taken = taken,
		.free_tried = request->policy != CARVEOUT_FREE_FIRST,
	};
	candidates_rewind(candidates);
	if (request->policy == CARVEOUT_LOWEST_FIRST)
		return 0;
	/* Before anything is counted: the list itself takes a place. */
	candidates->sorted = kvmalloc_array(most_candidates(candidates),
					    sizeof(*candidates->sorted), GFP_KERNEL);
	if (!candidates->sorted)
		return -ENOMEM;
	ret = waiting_note();
	if (ret)
		candidates_end(candidates);
	return ret;
}

static bool is_free(unsigned long pfn, unsigned long pages)
{
	unsigned long end = pfn + pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state != FRAME_FREE)
			return false;
		pfn += run.pages;
	}
	return true;
}

/* The next in which nothing is in use. */
static bool next_free(struct candidates *candidates, unsigned long *pfn)
{
	while (next_by_address(candidates, pfn)) {
		if (is_free(*pfn, PHYS_PFN(candidates->request->piece_bytes)))
			return true;
		cond_resched();
	}
	return false;
}

/* In the order of the list, which is made when it is first needed. */
static bool next_sorted(struct candidates *candidates, unsigned long *pfn)
{
	if (!candidates->is_sorted) {
		candidates_rewind(candidates);
		candidates->is_sorted = true;
		candidates->error = candidates_sort(candidates);
	}
	if (candidates->error || candidates->taken_from_list == candidates->count)
		return false;
	*pfn = candidates->sorted[candidates->taken_from_list++].pfn;
	return true;
}

/* Whether the request has it already, or another has. */
static bool is_had(const struct candidates *candidates, unsigned long pfn)
{
	unsigned long pages = PHYS_PFN(candidates->request->piece_bytes), i;

	if (extents_pages_within(&lent, pfn, pages))
		return true;
	for (i = 0; i < candidates->taken->count; i++) {
		const struct extent *taken = &candidates->taken->list[i];

		if (taken->pfn < pfn + pages && pfn < taken->pfn + taken->pages)
			return true;
	}
	return false;
}

static bool next_of_any(struct candidates *candidates, unsigned long *pfn)
{
	if (!candidates->sorted)
		return next_by_address(candidates, pfn);
	/* Only when no free one is left is it worth looking at how full the others are. */
	if (!candidates->free_tried) {
		if (next_free(candidates, pfn))
			return true;
		candidates->free_tried = true;
	}
	return next_sorted(candidates, pfn);
}

bool candidates_next(struct candidates *candidates, unsigned long *pfn)
{
	while (next_of_any(candidates, pfn)) {
		if (!is_had(candidates, *pfn))
			return true;
	}
	return false;
}

void candidates_end(struct candidates *candidates)
{
	kvfree(candidates->sorted);
	candidates->sorted = NULL;
}
