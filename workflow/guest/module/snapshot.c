// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parameter "snapshot": what was lent since it was written to, and counters whose differences
 * tell what an operation made the kernel do, as one line of numbers. A shell reads it without
 * starting a process, which would cost more than many an operation.
 */

#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/vmstat.h>

#include "carveout.h"
#include "counters.h"

static struct extents lent_before;	/* when it was written to last */

static unsigned long largest_pages(const struct extents *extents)
{
	unsigned long i, largest = 0;

	for (i = 0; i < extents->count; i++)
		largest = max(largest, extents->list[i].pages);
	return largest;
}

/* With those on per-CPU lists, which the kernel's own figure leaves out. */
static unsigned long count_free_pages(void)
{
	struct counters counters;

	counters_read(&counters);
	return counters.free + counters.waiting;
}

/* What was lent before and is lent still was not granted since. */
static int collect_granted(struct extents *granted)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < lent.count && !ret; i++)
		ret = extents_append_without(granted, &lent.list[i], &lent_before);
	return ret;
}

/* In the order of read_snapshot() in lib/steps.sh; log_ns is the clock of the kernel's log. */
static int snapshot_print(char *line, const unsigned long *events, const struct extents *granted)
{
	return sysfs_emit(line, "%lu %lu %lu %lu %lu %lu %llu %lu %llu %llu %lu\n",
			  global_node_page_state(NR_FILE_PAGES),
			  events[PGMIGRATE_SUCCESS],
			  events[THP_MIGRATION_SUCCESS],
			  events[THP_MIGRATION_SPLIT],
			  events[PGSTEAL_KSWAPD] + events[PGSTEAL_DIRECT] +
			  events[PGSTEAL_KHUGEPAGED],
			  events[OOM_KILL],
			  (u64)PFN_PHYS(extents_pages(granted)),
			  granted->count,
			  (u64)PFN_PHYS(largest_pages(granted)),
			  local_clock(),
			  count_free_pages());
}

static int granted_print(char *line, const unsigned long *events)
{
	struct extents granted = {};
	int ret = collect_granted(&granted);

	if (!ret)
		ret = snapshot_print(line, events, &granted);
	extents_free(&granted);
	return ret;
}

static int snapshot_get(char *line, const struct kernel_param *parameter)
{
	unsigned long events[NR_VM_EVENT_ITEMS];
	int ret;

	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	all_vm_events(events);
	/* A list of its own takes memory: only where it is needed. */
	if (lent_before.count)
		ret = granted_print(line, events);
	else
		ret = snapshot_print(line, events, &lent);
	mutex_unlock(&carveout_lock);
	return ret;
}

/*
 * Whatever is written: what is granted counts from here, and what came back in an earlier step says
 * nothing about this one, also when it lends nothing.
 */
static int snapshot_set(const char *text, const struct kernel_param *parameter)
{
	struct extents before = {};
	int ret;

	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	ret = extents_append_all(&before, &lent);
	if (!ret)
		swap(before, lent_before);
	extents_free(&last_given_back);
	mutex_unlock(&carveout_lock);
	extents_free(&before);
	return ret;
}

void snapshot_exit(void)
{
	extents_free(&lent_before);
}

static const struct kernel_param_ops snapshot_operations = {
	.get = snapshot_get,
	.set = snapshot_set,
};

module_param_cb(snapshot, &snapshot_operations, NULL, 0600);
MODULE_PARM_DESC(snapshot, "pages cached and migrated, huge pages migrated whole and split first, pages reclaimed, OOM kills, granted: bytes, extents, bytes of the largest; ns of the log, free pages");
