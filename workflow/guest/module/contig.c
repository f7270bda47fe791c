// SPDX-License-Identifier: GPL-2.0-only
/* Lends one contiguous range with alloc_contig_range(), trying candidates until one works. */

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>

#include "candidates.h"
#include "carveout.h"
#include "costs.h"

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

/* Returns 0 when the candidate is lent. */
static int contig_try(struct carveout_contig *request, unsigned long pfn)
{
	unsigned long pages = PHYS_PFN(request->bytes);
	int ret;

	request->attempts++;
	cost_enter(CARVEOUT_COST_MIGRATE);
	ret = contig_allocate(pfn, pages);
	cost_leave();
	request->kernel_error = -ret;
	if (fatal_signal_pending(current)) {
		if (!ret)
			free_contig_range(pfn, pages);
		return -EINTR;
	}
	if (ret)
		return ret;
	request->start = PFN_PHYS(pfn);
	cost_enter(CARVEOUT_COST_UNCOUNTED);
	ret = contig_note(pfn, pages);
	cost_leave();
	return ret;
}

static int contig_try_all(struct carveout_contig *request)
{
	struct candidates candidates;
	unsigned long pfn;
	int ret = candidates_begin(&candidates, request);

	if (ret)
		return ret;
	ret = -ENXIO;
	while (candidates_next(&candidates, &pfn)) {
		ret = contig_try(request, pfn);
		/* What is granted and cannot be noted is no matter of the next candidate. */
		if (!request->kernel_error || ret == -EINTR)
			break;
		cond_resched();
	}
	ret = candidates.error ?: ret;
	candidates_end(&candidates);
	return fatal_signal_pending(current) ? -EINTR : ret;
}

int contig_lend(struct carveout_contig *request)
{
	int ret = contig_check(request->bytes, request->align_bytes, request->step_bytes);

	if (ret)
		return ret;
	if (request->reserved || request->policy >= CARVEOUT_POLICIES)
		return -EINVAL;
	if (request->area != CARVEOUT_AREA_ANY && request->area != CARVEOUT_AREA_MOVABLE)
		return -EINVAL;
	request->attempts = 0;
	request->start = 0;
	request->kernel_error = 0;
	cost_enter(CARVEOUT_COST_SEARCH);
	ret = contig_try_all(request);
	cost_leave();
	return ret;
}
