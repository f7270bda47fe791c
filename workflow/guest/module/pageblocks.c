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
		if (pfn_to_online_page(pfn))
			*type_noted(noted, pfn) = pageblock_migratetype(pfn);
		cond_resched();
	}
	return 0;
}

/* Pageblocks that the caller holds as a whole get their type back before they are freed. */
void pageblock_types_restore(const struct pageblock_types *noted, unsigned long pfn,
			     unsigned int order)
{
	unsigned long end = pfn + (1UL << order);

	for (; pageblock_aligned(pfn) && pfn + pageblock_nr_pages <= end; pfn += pageblock_nr_pages)
		pageblock_set_migratetype(pfn, *type_noted(noted, pfn));
}

/* Leaves the pageblock movable, with everything that is free in it on the right lists. */
bool pageblock_make_movable(unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;

	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (run.state == FRAME_FREE && !contig_allocate(pfn, 1)) {
			free_contig_range(pfn, 1);
			return true;
		}
		pfn += run.pages;
	}
	return false;
}

/* Pageblocks that the caller had only a part of are mended with the kernel's own means. */
void pageblock_types_mend(const struct pageblock_types *noted)
{
	unsigned long pfn = noted->first_pfn, i;

	for (i = 0; i < noted->blocks; i++, pfn += pageblock_nr_pages) {
		if (noted->types[i] == MIGRATE_MOVABLE && pfn_to_online_page(pfn) &&
		    pageblock_migratetype(pfn) != MIGRATE_MOVABLE)
			pageblock_make_movable(pfn);
		cond_resched();
	}
}

void pageblock_types_free(struct pageblock_types *noted)
{
	kvfree(noted->types);
	noted->types = NULL;
}

/*
 * Freed pages wait on per-CPU lists, and pages on their way to an LRU list in per-CPU batches, which
 * hold a reference. alloc_contig_range() empties both, of all CPUs, whatever it is asked for.
 */
static void drain_zone(struct zone *zone)
{
	unsigned long pfn, end = zone_end_pfn(zone);

	for (pfn = pageblock_align(zone->zone_start_pfn); pfn < end; pfn += pageblock_nr_pages) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_zone(page) == zone &&
		    pageblock_migratetype(pfn) == MIGRATE_MOVABLE && pageblock_make_movable(pfn))
			return;
		cond_resched();
	}
}

void drain_all_zones(void)
{
	int nid, i;

	for_each_online_node(nid) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			if (populated_zone(zone))
				drain_zone(zone);
		}
	}
}
