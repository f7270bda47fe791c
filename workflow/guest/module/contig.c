// SPDX-License-Identifier: GPL-2.0-only
/* Lends contiguous pieces with alloc_contig_range(), trying candidates until there are enough. */

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>

#include "candidates.h"
#include "carveout.h"
#include "costs.h"

int contig_check(u64 bytes, u64 align_bytes)
{
	struct extent unused;

	if (!is_power_of_2(align_bytes) || !IS_ALIGNED(align_bytes, PAGE_SIZE))
		return -EINVAL;
	if (align_bytes >= 1ULL << MAX_PHYSMEM_BITS)
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

/* Without memory to find out which frames may be freed, none is. */
static int contig_give_back(struct lend *lend)
{
	struct extents own = {};
	int ret = lend_own_frames(lend, &own);
	unsigned long i;

	for (i = 0; i < own.count && !ret; i++)
		free_contig_range(own.list[i].pfn, own.list[i].pages);
	extents_free(&own);
	return ret;
}

static const struct lend_ops contig_ops = {
	.kind = CARVEOUT_CONTIG,
	.give_back = contig_give_back,
	.frees_pages = true,
};

/* Gives back what a lend holds that is on no list. */
static void contig_drop(struct lend *lend)
{
	unsigned long i;

	for (i = 0; i < lend->extents.count; i++)
		free_contig_range(lend->extents.list[i].pfn, lend->extents.list[i].pages);
	lend_free(lend);
}

/* Takes the lend over, also when it fails: then it is given back. */
int contig_add(struct lend *lend)
{
	int ret = lend_add(lend);

	if (ret)
		contig_drop(lend);
	return ret;
}

struct lend *contig_new(void)
{
	return lend_new(&contig_ops);
}

/* Takes one range into a lend; 0 when it has it. */
int contig_take(struct lend *lend, unsigned long pfn, unsigned long pages)
{
	int ret;

	cost_enter(CARVEOUT_COST_MIGRATE);
	ret = contig_allocate(pfn, pages);
	cost_leave();
	if (ret)
		return ret;
	cost_enter(CARVEOUT_COST_UNCOUNTED);
	ret = extents_append(&lend->extents, pfn, pages);
	cost_leave();
	if (ret)
		free_contig_range(pfn, pages);
	return ret;
}

/* One candidate. Returns 0, or the errno that ends the search. */
static int contig_try(struct carveout_contig *request, struct lend *lend, unsigned long pfn)
{
	int ret = contig_take(lend, pfn, PHYS_PFN(request->piece_bytes));

	request->attempts++;
	if (fatal_signal_pending(current))
		return -EINTR;
	if (ret)
		request->kernel_error = -ret;
	else
		request->granted_bytes += request->piece_bytes;
	return 0;
}

static int contig_try_all(struct carveout_contig *request, struct lend *lend)
{
	struct candidates candidates;
	unsigned long pfn;
	int ret = candidates_begin(&candidates, request, &lend->extents);

	if (ret)
		return ret;
	while (!ret && request->granted_bytes < request->bytes &&
	       candidates_next(&candidates, &pfn)) {
		ret = contig_try(request, lend, pfn);
		cond_resched();
	}
	ret = candidates.error ?: ret;
	candidates_end(&candidates);
	return fatal_signal_pending(current) ? -EINTR : ret;
}

/* What is had is lent, also when it is less than what was asked for. */
static int contig_lend_pieces(struct carveout_contig *request)
{
	struct lend *lend = contig_new();
	int ret = lend ? contig_try_all(request, lend) : -ENOMEM;

	if (!lend || ret == -EINTR || !lend->extents.count) {
		request->granted_bytes = 0;
		if (lend)
			contig_drop(lend);
	} else {
		int added;

		cost_enter(CARVEOUT_COST_UNCOUNTED);
		added = contig_add(lend);
		cost_leave();
		if (added) {
			request->granted_bytes = 0;
			return added;
		}
	}
	if (!ret && request->granted_bytes < request->bytes)
		ret = request->kernel_error ? -(int)request->kernel_error : -ENXIO;
	return ret;
}

int contig_lend(struct carveout_contig *request)
{
	int ret = contig_check(request->piece_bytes, request->align_bytes);
	struct extent unused;

	if (!ret)
		ret = extent_from_user(&unused, 0, request->bytes);
	if (ret)
		return ret;
	if (request->bytes % request->piece_bytes || request->reserved)
		return -EINVAL;
	if (request->policy >= CARVEOUT_POLICIES)
		return -EINVAL;
	if (request->area != CARVEOUT_AREA_ANY && request->area != CARVEOUT_AREA_MOVABLE)
		return -EINVAL;
	request->attempts = 0;
	request->granted_bytes = 0;
	request->kernel_error = 0;
	cost_enter(CARVEOUT_COST_SEARCH);
	ret = contig_lend_pieces(request);
	cost_leave();
	return ret;
}
