// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reuse probe: how many of some frames Linux can use for movable, or for unmovable pages.
 *
 * - The page allocator hands out all that it has for pages of that kind (drain.c), and asked frames
 *   among it count; so do asked frames that are in use again by that kind. Both are counted at one
 *   moment, while all of it is held: what somebody frees meanwhile would count twice.
 * - What is still free of the asked frames is taken by address with alloc_contig_range(): free, but
 *   out of the allocator's reach, as below its watermarks. That is no proof that an allocation of
 *   the kind would ever get it.
 * - The rest is untried: frames in CMA areas, what is too scattered to ask for each piece, and what
 *   shares a pageblock with pages that cannot move, of which alloc_contig_range() tries none.
 * Frames that the allocator never gives to a kind (ZONE_MOVABLE and CMA to unmovable pages) are in
 * none of the three: the answer for them is no.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "carveout.h"
#include "probe.h"
#include "waiting.h"

/* Whether the allocator ever gives such a frame of Linux's to the kind. */
static bool may_be_for(const struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	return probe->movable || (page_zonenum(run->page) != ZONE_MOVABLE &&
				  !is_migrate_cma(pageblock_migratetype(pfn)));
}

/* Free, and the allocator may use it for the kind. */
bool probe_may_have(const struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	return run->state == FRAME_FREE && may_be_for(probe, run, pfn);
}

static bool kind_uses(const struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	if (probe->movable)
		return run->state == FRAME_MOVABLE;
	if (run->state != FRAME_SLAB && run->state != FRAME_PAGE_TABLE &&
	    run->state != FRAME_KERNEL)
		return false;
	return may_be_for(probe, run, pfn);
}

static void count_extent_in_use(struct probe *probe, const struct extent *extent)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);
		unsigned long lent_again = extents_pages_within(&lent, pfn, run.pages);

		if (kind_uses(probe, &run, pfn))
			probe->handed_out += run.pages - lent_again;
		pfn += run.pages;
		cond_resched();
	}
}

/* What the drain holds of its own are pages that cannot move, and among those that are in use. */
static void count_in_use(struct probe *probe)
{
	unsigned long i;

	if (!probe->movable)
		probe->handed_out = 0;
	for (i = 0; i < probe->asked->count; i++)
		count_extent_in_use(probe, &probe->asked->list[i]);
}

static void count_handed_out(struct page *page, unsigned int order, void *data)
{
	struct probe *probe = data;

	probe->handed_out += extents_pages_within(probe->asked, page_to_pfn(page), 1UL << order);
}

static int probe_all(struct probe *probe)
{
	int ret = drain_begin(&probe->drain);

	if (ret)
		return ret;
	drain_take_all(&probe->drain, probe->movable);
	/* Per-CPU lists took more at once than the allocator handed out before it stopped. */
	ret = waiting_note();
	if (!ret) {
		count_in_use(probe);
		probe_by_address(probe);
	}
	return drain_end(&probe->drain) ?: ret;
}

static int probe_ranges(struct carveout_reuse *reuse, const struct extents *asked)
{
	struct probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	int ret;

	if (!probe)
		return -ENOMEM;
	probe->movable = reuse->movable;
	probe->asked = asked;
	probe->drain.took = count_handed_out;
	probe->drain.data = probe;
	ret = probe_all(probe);
	reuse->allocator_bytes = PFN_PHYS(probe->handed_out);
	reuse->address_bytes = PFN_PHYS(probe->by_address);
	reuse->untried_bytes = PFN_PHYS(probe->untried);
	kfree(probe);
	return ret;
}

int reuse_probe(struct carveout_reuse *reuse)
{
	struct extents asked = {};
	int ret;

	if (!reuse->ranges.count)
		return probe_ranges(reuse, &last_given_back);
	ret = extents_from_user(&asked, &reuse->ranges);
	if (!ret && extents_pages(&asked) > MOST_PAGES)
		ret = -E2BIG;
	if (!ret)
		ret = probe_ranges(reuse, &asked);
	extents_free(&asked);
	return ret;
}
