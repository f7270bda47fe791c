// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which free frames wait on the per-CPU lists of the page allocator. Nothing in a struct page tells
 * such a frame from the tail of a block that was allocated without __GFP_COMP: neither has a count,
 * a type or a mapping. So the lists are walked, and what is on none of them is in use.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/spinlock.h>

#include "frame_set.h"
#include "waiting.h"
#include "zones.h"

static struct frame_set waiting;

/* pindex_to_order() in mm/page_alloc.c: migratetypes within an order, huge pages last. */
static unsigned int list_order(unsigned int list)
{
	return list < NR_LOWORDER_PCP_LISTS ? list / MIGRATE_PCPTYPES : HPAGE_PMD_ORDER;
}

static void note_block(unsigned long pfn, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		frame_set_add(&waiting, pfn + i);
}

static void note_lists(struct per_cpu_pages *lists)
{
	unsigned long flags;
	struct page *page;
	unsigned int list;

	spin_lock_irqsave(&lists->lock, flags);
	for (list = 0; list < NR_PCP_LISTS; list++) {
		list_for_each_entry(page, &lists->lists[list], pcp_list)
			note_block(page_to_pfn(page), list_order(list));
	}
	spin_unlock_irqrestore(&lists->lock, flags);
}

/* Looks at the lists as they are now. */
int waiting_note(void)
{
	int cpu, ret = frame_set_clear(&waiting);
	struct zone *zone = NULL;

	if (ret)
		return ret;
	while ((zone = next_zone_with_pages(zone))) {
		for_each_online_cpu(cpu)
			note_lists(per_cpu_ptr(zone->per_cpu_pageset, cpu));
	}
	return 0;
}

/* Whether the frame waited on a list when these were looked at last. */
bool is_waiting(unsigned long pfn)
{
	return frame_set_has(&waiting, pfn);
}

unsigned long waiting_within(unsigned long pfn, unsigned long pages)
{
	return frame_set_count(&waiting, pfn, pages);
}

void waiting_exit(void)
{
	frame_set_free(&waiting);
}
