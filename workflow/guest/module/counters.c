// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's counters, as exact as it has them: CPUs keep differences of their own. */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/vmstat.h>

#include "counters.h"
#include "zones.h"

static void add_zone(struct counters *counters, struct zone *zone)
{
	int cpu, order;

	counters->free += zone_page_state_snapshot(zone, NR_FREE_PAGES);
	counters->free_cma += zone_page_state_snapshot(zone, NR_FREE_CMA_PAGES);
	counters->managed += zone_managed_pages(zone);
	for_each_online_cpu(cpu)
		counters->waiting += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		counters->free_blocks[order] += READ_ONCE(zone->free_area[order].nr_free);
}

long counters_of_nodes(enum node_stat_item item)
{
	long count = 0;
	int nid, cpu;

	for_each_online_node(nid) {
		struct pglist_data *node = NODE_DATA(nid);

		count += atomic_long_read(&node->vm_stat[item]);
		for_each_online_cpu(cpu)
			count += per_cpu_ptr(node->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	}
	return count;
}

void counters_read(struct counters *counters)
{
	struct zone *zone = NULL;

	memset(counters, 0, sizeof(*counters));
	counters->page_tables = counters_of_nodes(NR_PAGETABLE);
	while ((zone = next_zone_with_pages(zone)))
		add_zone(counters, zone);
}
