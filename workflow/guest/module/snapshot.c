// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parameter "snapshot": what is lent, and counters whose differences tell what an operation
 * made the kernel do, as one line of numbers. A shell reads it without starting a process, which
 * would cost more than many an operation.
 */

#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/vmstat.h>

#include "carveout.h"

static unsigned long largest_lent_pages(void)
{
	unsigned long i, largest = 0;

	for (i = 0; i < lent.count; i++)
		largest = max(largest, lent.list[i].pages);
	return largest;
}

/* In the order of read_snapshot() in lib/steps.sh. */
static int snapshot_print(char *line, const unsigned long *events)
{
	return sysfs_emit(line, "%lu %lu %lu %lu %llu %lu %llu\n",
			  global_node_page_state(NR_FILE_PAGES),
			  events[PGMIGRATE_SUCCESS],
			  events[PGSTEAL_KSWAPD] + events[PGSTEAL_DIRECT] +
			  events[PGSTEAL_KHUGEPAGED],
			  events[OOM_KILL],
			  (u64)PFN_PHYS(extents_pages(&lent)),
			  lent.count,
			  (u64)PFN_PHYS(largest_lent_pages()));
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
MODULE_PARM_DESC(snapshot, "pages cached, migrated and reclaimed, OOM kills, lent: bytes, extents, bytes of the largest");
