// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parameter "snapshot": what is lent, and counters whose differences tell what an operation
 * made the kernel do, as one line of numbers. A shell reads it without starting a process, which
 * would cost more than many an operation.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/vmstat.h>

#include "carveout.h"

static unsigned long largest_lent_pages(void)
{
	unsigned long i, largest = 0;

	for (i = 0; i < lent.count; i++)
		largest = max(largest, lent.list[i].pages);
	return largest;
}

/* What is free on per-CPU lists, which the kernel's own count of free pages leaves out. */
static unsigned long listed_pages(const struct zone *zone)
{
	unsigned long pages = 0;
	int cpu;

	for_each_online_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
	return pages;
}

static unsigned long free_pages_everywhere(void)
{
	unsigned long pages = global_zone_page_state(NR_FREE_PAGES);
	int node, i;

	for_each_online_node(node) {
		for (i = 0; i < MAX_NR_ZONES; i++)
			pages += listed_pages(&NODE_DATA(node)->node_zones[i]);
	}
	return pages;
}

/* In the order of read_snapshot() in lib/steps.sh. */
static int snapshot_print(char *line, const unsigned long *events)
{
	return sysfs_emit(line, "%lu %lu %lu %lu %llu %lu %llu %lu\n",
			  global_node_page_state(NR_FILE_PAGES),
			  events[PGMIGRATE_SUCCESS],
			  events[PGSTEAL_KSWAPD] + events[PGSTEAL_DIRECT] +
			  events[PGSTEAL_KHUGEPAGED],
			  events[OOM_KILL],
			  (u64)PFN_PHYS(extents_pages(&lent)),
			  lent.count,
			  (u64)PFN_PHYS(largest_lent_pages()),
			  free_pages_everywhere());
}

static int snapshot_get(char *line, const struct kernel_param *parameter)
{
	unsigned long events[NR_VM_EVENT_ITEMS];
	int length;

	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	all_vm_events(events);
	length = snapshot_print(line, events);
	mutex_unlock(&carveout_lock);
	return length;
}

static const struct kernel_param_ops snapshot_operations = { .get = snapshot_get };

module_param_cb(snapshot, &snapshot_operations, NULL, 0400);
MODULE_PARM_DESC(snapshot, "pages cached, migrated and reclaimed, OOM kills, lent: bytes, extents, bytes of the largest; free pages");
