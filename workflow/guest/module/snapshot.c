// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parameter "snapshot": what was lent since it was written to, and counters whose differences
 * tell what an operation made the kernel do, as one line of numbers. A shell reads it without
 * starting a process, which would cost more than many an operation.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/sysfs.h>
#include <linux/vmstat.h>

#include "carveout.h"
#include "counters.h"

static struct extents lent_before;	/* when it was written to last */
static u64 granule_bytes = PAGE_SIZE;	/* what was written then; 0: one single range */

/* Of each extent only what lies in whole, aligned granules is of use to who needs such pieces. */
static unsigned long granted_pages(const struct extents *extents)
{
	unsigned long i, pages = 0, granule_pages = PHYS_PFN(granule_bytes);

	for (i = 0; i < extents->count; i++) {
		const struct extent *extent = &extents->list[i];
		unsigned long first = ALIGN(extent->pfn, granule_pages);
		unsigned long end = ALIGN_DOWN(extent->pfn + extent->pages, granule_pages);

		if (first < end)
			pages += end - first;
	}
	return pages;
}

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

/* What was lent before and is lent still was not lent since. */
static int collect_since(struct extents *since)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < lent.count && !ret; i++)
		ret = extents_append_without(since, &lent.list[i], &lent_before);
	return ret;
}

/* By whomever: what is reclaimed is anonymous memory or of files. */
static unsigned long reclaimed_pages(const unsigned long *events)
{
#ifdef HAS_RECLAIM_EVENTS
	return events[PGSTEAL_ANON] + events[PGSTEAL_FILE];
#else
	return global_node_page_state(PGSTEAL_ANON) + global_node_page_state(PGSTEAL_FILE);
#endif
}

/* Of all that is lent, what Linux may take back. */
static unsigned long revocable_pages(void)
{
	unsigned long pages = 0;
	struct lend *lend;

	list_for_each_entry(lend, &lends, node)
		pages += lend_is_revocable(lend) ? extents_pages(&lend->extents) : 0;
	return pages;
}

/* In the order of read_snapshot() in lib/steps.sh; log_ns is the clock of the kernel's log. */
static int snapshot_print(char *line, const unsigned long *events, const struct extents *since)
{
	return sysfs_emit(line, "%lu %lu %lu %lu %lu %lu %lu %llu %llu %lu %llu %llu %lu %llu\n",
			  global_node_page_state(NR_FILE_PAGES),
			  events[PGMIGRATE_SUCCESS],
			  events[THP_MIGRATION_SUCCESS],
			  events[THP_MIGRATION_SPLIT],
			  reclaimed_pages(events),
			  global_node_page_state(NR_WRITTEN),
			  events[OOM_KILL],
			  (u64)PFN_PHYS(extents_pages(since)),
			  (u64)PFN_PHYS(granule_bytes ? granted_pages(since) :
					largest_pages(since)),
			  since->count,
			  (u64)PFN_PHYS(largest_pages(since)),
			  local_clock(),
			  count_free_pages(),
			  (u64)PFN_PHYS(revocable_pages()));
}

static int since_print(char *line, const unsigned long *events)
{
	struct extents since = {};
	int ret = collect_since(&since);

	if (!ret)
		ret = snapshot_print(line, events, &since);
	extents_free(&since);
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
		ret = since_print(line, events);
	else
		ret = snapshot_print(line, events, &lent);
	mutex_unlock(&carveout_lock);
	return ret;
}

/*
 * The granule of what is asked for from here on is written, in bytes. What is lent counts from
 * here, and what came back in an earlier step says nothing about this one, also when it lends
 * nothing.
 */
static int snapshot_set(const char *text, const struct kernel_param *parameter)
{
	struct extents before = {};
	u64 bytes;
	int ret = kstrtou64(text, 0, &bytes);

	if (!ret && bytes && (!is_power_of_2(bytes) || !PAGE_ALIGNED(bytes)))
		ret = -EINVAL;
	if (ret)
		return ret;
	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	ret = extents_append_all(&before, &lent);
	if (!ret) {
		swap(before, lent_before);
		granule_bytes = bytes;
	}
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
MODULE_PARM_DESC(snapshot, "pages cached and migrated, huge pages migrated whole and split first, pages reclaimed and written, OOM kills, lent: bytes, bytes in granules, extents, bytes of the largest; ns of the log, free pages, bytes lent that Linux may take back");
