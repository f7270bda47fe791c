// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notes the types of all pageblocks, and gives them back to those that unmovable allocations stole.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/slab.h>

#include "carveout.h"
#include "pageblocks.h"

static u8 *type_noted(const struct pageblock_types *noted, unsigned long pfn)
{
	return &noted->types[(pfn - noted->first_pfn) >> pageblock_order];
}

int pageblock_types_note(struct pageblock_types *noted)
{
	unsigned long pfn, end = end_ram_pfn();

	noted->first_pfn = first_ram_pfn();
	noted->blocks = (end - noted->first_pfn) >> pageblock_order;
	noted->types = kvzalloc(noted->blocks, GFP_KERNEL);
	if (!noted->types)
		return -ENOMEM;
	for (pfn = noted->first_pfn; pfn < end; pfn += pageblock_nr_pages) {
		/* Of what is not there, nothing can be stolen. */
		*type_noted(noted, pfn) = MIGRATE_ISOLATE;
		if (pfn_to_online_page(pfn))
			*type_noted(noted, pfn) = pageblock_migratetype(pfn);
		cond_resched();
	}
	return 0;
}

#ifdef ACR_FLAGS_NONE
static void hold_free(struct extents *held, unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state == FRAME_FREE && !contig_allocate_anywhere(pfn, run.pages) &&
		    extents_append(held, pfn, run.pages))
			free_contig_range(pfn, run.pages);
		pfn += run.pages;
		cond_resched();
	}
}

/* alloc_contig_range() leaves the type as it is: it is changed while all that is free is held. */
static void convert_held(unsigned long pfn, int migratetype)
{
	struct extents held = {};
	unsigned long i;

	hold_free(&held, pfn);
	pageblock_set_migratetype(pfn, migratetype);
	for (i = 0; i < held.count; i++)
		free_contig_range(held.list[i].pfn, held.list[i].pages);
	extents_free(&held);
}
#else
static void convert_held(unsigned long pfn, int migratetype)
{
}
#endif

/*
 * Gives the pageblock the type, with everything that is free in it on the lists of that type, and
 * empties per-CPU lists. Where nothing is free, nothing is done.
 */
bool pageblock_convert(unsigned long pfn, int migratetype)
{
	unsigned long at = pfn, end = pfn + pageblock_nr_pages;

	while (at < end) {
		struct frame_run run = frame_stretch_read(at, end);

		if (run.state == FRAME_FREE && !contig_allocate_as(at, 1, migratetype)) {
			free_contig_range(at, 1);
			if (pageblock_migratetype(pfn) != migratetype)
				convert_held(pfn, migratetype);
			return true;
		}
		at += run.pages;
		cond_resched();
	}
	return false;
}

/* Types between which allocations steal. */
static bool is_stealable(int migratetype)
{
	return migratetype == MIGRATE_MOVABLE || migratetype == MIGRATE_UNMOVABLE ||
	       migratetype == MIGRATE_RECLAIMABLE;
}

static bool was_stolen(const struct pageblock_types *noted, unsigned long pfn)
{
	int before = *type_noted(noted, pfn);

	return is_stealable(before) && pfn_to_online_page(pfn) &&
	       is_stealable(pageblock_migratetype(pfn)) && pageblock_migratetype(pfn) != before;
}

static bool nothing_is_free(unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state == FRAME_FREE)
			return false;
		pfn += run.pages;
	}
	return true;
}

/*
 * While the caller holds all that was free in a pageblock, the type alone has to be changed: what
 * is freed then goes to the lists of that type. Nobody else should run before something is freed.
 */
void pageblock_types_restore(const struct pageblock_types *noted)
{
	unsigned long pfn = noted->first_pfn, i;

	for (i = 0; i < noted->blocks; i++, pfn += pageblock_nr_pages) {
		if (was_stolen(noted, pfn) && nothing_is_free(pfn))
			pageblock_set_migratetype(pfn, noted->types[i]);
	}
}

/* The others are mended by the kernel's own means, which fail where pages cannot move. */
void pageblock_types_mend(const struct pageblock_types *noted)
{
	unsigned long pfn = noted->first_pfn, i;

	for (i = 0; i < noted->blocks; i++, pfn += pageblock_nr_pages) {
		if (was_stolen(noted, pfn))
			pageblock_convert(pfn, noted->types[i]);
		cond_resched();
	}
}

void pageblock_types_free(struct pageblock_types *noted)
{
	kvfree(noted->types);
	noted->types = NULL;
}
