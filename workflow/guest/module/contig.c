// SPDX-License-Identifier: GPL-2.0-only
/* Lends one contiguous range with alloc_contig_range(), trying every aligned candidate. */

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>

#include "carveout.h"

/*
 * What is known about the frames of the candidates to come. Absent and reserved frames stay
 * as they are, so a frame is looked at once, however many candidates hold it.
 */
struct outlook {
	u32 area;
	unsigned long checked;	/* frames below were looked at */
	unsigned long floor;	/* no candidate that begins below can work */
	int zone;		/* node and zone of the last frame looked at */
};

int contig_check(u64 bytes, u64 align_bytes, u64 step_bytes)
{
	struct extent unused;

	if (!is_power_of_2(align_bytes) || !IS_ALIGNED(align_bytes, PAGE_SIZE))
		return -EINVAL;
	if (!step_bytes || !IS_ALIGNED(step_bytes, align_bytes))
		return -EINVAL;
	if (step_bytes >= 1ULL << MAX_PHYSMEM_BITS || align_bytes >= 1ULL << MAX_PHYSMEM_BITS)
		return -ERANGE;
	return extent_from_user(&unused, 0, bytes);
}

/*
 * The frames become ordinary single pages with one reference each, and their pageblocks of that
 * type. Newer kernels leave the type as it is, but want to know of CMA areas.
 */
int contig_allocate_as(unsigned long pfn, unsigned long pages, int migratetype)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

#ifdef ACR_FLAGS_NONE
	return alloc_contig_range(pfn, pfn + pages,
				  is_migrate_cma(migratetype) ? ACR_FLAGS_CMA : ACR_FLAGS_NONE,
				  gfp);
#else
	return alloc_contig_range(pfn, pfn + pages, migratetype, gfp);
#endif
}

/* Not from CMA areas. */
int contig_allocate(unsigned long pfn, unsigned long pages)
{
	return contig_allocate_as(pfn, pages, MIGRATE_MOVABLE);
}

/* For frames in pageblocks of one type, whichever, that shall keep it. */
int contig_allocate_anywhere(unsigned long pfn, unsigned long pages)
{
	return contig_allocate_as(pfn, pages, pageblock_migratetype(pfn));
}

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

/* The first candidate at or after pfn on the grid of steps that may work, or none: end. */
static unsigned long next_candidate(struct outlook *outlook, unsigned long pfn,
				    unsigned long end, const struct carveout_contig *request)
{
	unsigned long pages = PHYS_PFN(request->bytes), step = PHYS_PFN(request->step_bytes);

	while (pages <= end && pfn <= end - pages) {
		outlook->checked = max(outlook->checked, pfn);
		while (outlook->checked < pfn + pages && outlook->floor <= pfn)
			outlook_extend(outlook, pfn + pages);
		if (outlook->floor <= pfn)
			return pfn;
		pfn += DIV_ROUND_UP(outlook->floor - pfn, step) * step;
		cond_resched();
	}
	return end;
}

/* Without memory to find out which frames may be freed, none is. */
static void contig_give_back(struct lend *lend)
{
	struct extents own = {};
	unsigned long i;

	if (!lend_own_frames(lend, &own)) {
		for (i = 0; i < own.count; i++)
			free_contig_range(own.list[i].pfn, own.list[i].pages);
	}
	extents_free(&own);
}

static const struct lend_ops contig_ops = {
	.kind = CARVEOUT_CONTIG,
	.give_back = contig_give_back,
	.frees_pages = true,
};

static int contig_note(unsigned long pfn, unsigned long pages)
{
	struct lend *lend = lend_new(&contig_ops);
	int ret = lend ? extents_append(&lend->extents, pfn, pages) : -ENOMEM;

	if (!ret)
		ret = lend_add(lend);
	if (ret) {
		free_contig_range(pfn, pages);
		if (lend)
			lend_free(lend);
	}
	return ret;
}

/* Tries candidates in turn. A lack of memory tells more than a busy page: it is kept. */
static int contig_try_all(struct carveout_contig *request)
{
	unsigned long pages = PHYS_PFN(request->bytes), end = end_ram_pfn();
	struct outlook outlook = { .area = request->area, .zone = -1 };
	unsigned long pfn = ALIGN(first_ram_pfn(), PHYS_PFN(request->align_bytes));
	int ret, told = -ENXIO;

	while ((pfn = next_candidate(&outlook, pfn, end, request)) < end) {
		request->attempts++;
		ret = contig_allocate(pfn, pages);
		if (!ret) {
			request->start = PFN_PHYS(pfn);
			return contig_note(pfn, pages);
		}
		if (ret == -EINTR || fatal_signal_pending(current))
			return -EINTR;
		if (told != -ENOMEM)
			told = ret;
		pfn += PHYS_PFN(request->step_bytes);
	}
	return told;
}

int contig_lend(struct carveout_contig *request)
{
	int ret = contig_check(request->bytes, request->align_bytes, request->step_bytes);

	if (ret)
		return ret;
	if (request->reserved)
		return -EINVAL;
	if (request->area != CARVEOUT_AREA_ANY && request->area != CARVEOUT_AREA_MOVABLE)
		return -EINVAL;
	request->attempts = 0;
	request->start = 0;
	return contig_try_all(request);
}
