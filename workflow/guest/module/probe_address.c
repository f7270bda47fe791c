// SPDX-License-Identifier: GPL-2.0-only
/* The reuse probe takes, by address, the asked frames that the page allocator did not hand out. */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "carveout.h"
#include "probe.h"

#define MOST_CALLS 2048				/* of alloc_contig_range() */

/* How many frames from pfn on are still free, all in one zone and in pageblocks of one type. */
static unsigned long pages_left(const struct probe *probe, unsigned long pfn, unsigned long end)
{
	unsigned long at = pfn;

	while (at < end) {
		struct frame_run run = frame_stretch_read(at, end);

		if (!probe_may_have(probe, &run, at) ||
		    page_zone(run.page) != page_zone(pfn_to_page(pfn)) ||
		    pageblock_migratetype(at) != pageblock_migratetype(pfn))
			break;
		at += run.pages;
		cond_resched();
	}
	return at - pfn;
}

/* The bitmap of a CMA area would not know of frames that were taken behind its back. */
static bool may_try(const struct probe *probe, unsigned long pfn)
{
	return probe->calls < MOST_CALLS && !is_migrate_cma(pageblock_migratetype(pfn)) &&
	       !fatal_signal_pending(current);
}

/* False when it was refused, or not asked for. */
static bool take_run(struct probe *probe, unsigned long pfn, unsigned long pages)
{
	unsigned long i;

	if (!may_try(probe, pfn))
		return false;
	probe->calls++;
	if (contig_allocate_anywhere(pfn, pages))
		return false;
	probe->by_address += pages;
	for (i = 0; i < pages; i++)
		drain_hold(&probe->drain, pfn_to_page(pfn + i), 0);
	return true;
}

/*
 * In pieces as large as they are; of what is refused, pageblock by pageblock. Where it is refused
 * again, the kernel has looked at other frames of the pageblock, which cannot move, and not at the
 * free ones: nobody has tried those.
 */
static void take_extent(struct probe *probe, const struct extent *extent)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages, refused = pfn;

	while (pfn < end) {
		unsigned long limit = pfn < refused ? min(end, pageblock_end_pfn(pfn)) : end;
		unsigned long pages = pages_left(probe, pfn, limit);

		if (!pages) {
			pfn += frame_stretch_read(pfn, end).pages;
		} else if (take_run(probe, pfn, pages)) {
			pfn += pages;
		} else if (pfn < refused) {
			probe->untried += pages;
			pfn += pages;
		} else {
			refused = pfn + pages;
		}
		cond_resched();
	}
}

void probe_by_address(struct probe *probe)
{
	unsigned long i;

	for (i = 0; i < probe->asked->count; i++)
		take_extent(probe, &probe->asked->list[i]);
}
