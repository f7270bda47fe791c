// SPDX-License-Identifier: GPL-2.0-only
/* What the reuse probe wants of a zone: which of the asked frames its kind of page could get. */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched.h>

#include "lends.h"
#include "probe.h"

/* Free, and the allocator may use it for the kind. */
bool probe_may_have(const struct probe *probe, const struct frame_run *run, unsigned long pfn)
{
	if (run->state != FRAME_FREE)
		return false;
	if (probe->movable)
		return true;
	return page_zonenum(run->page) != ZONE_MOVABLE &&
	       !is_migrate_cma(pageblock_migratetype(pfn));
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
	if (probe_may_have(probe, run, pfn))
		want_block(&probe->wanted[max(free_block_order(pfn), 0)], run->pages);
	else if (kind_uses(probe, run) && !extents_pages_within(&lent, pfn, run->pages))
		probe->obtained += run->pages;
}

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

/* Sets what is wanted of the zone, and counts what is in use there as obtained. */
bool probe_wants_zone(struct probe *probe)
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
