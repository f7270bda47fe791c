// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel says what it turns to: tracepoints, which modules may find though they are not
 * exported, and the returns of some functions. All are set when the module is loaded, so that
 * every operation finds them alike; what is set does not depend on the strategy.
 */

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/printk.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

struct compact_control;	/* private to mm/, and named in compaction.h before anything else */

#include <trace/events/cma.h>
#include <trace/events/compaction.h>
#include <trace/events/migrate.h>
#include <trace/events/vmscan.h>
#include <trace/events/workqueue.h>

#include "costs.h"

static void migrate_begins(void *data, enum migrate_mode mode, int reason)
{
	cost_enter_within(CARVEOUT_COST_MIGRATE);
}

static void migrate_ends(void *data, unsigned long succeeded, unsigned long failed,
			 unsigned long thp_succeeded, unsigned long thp_failed,
			 unsigned long thp_split, unsigned long large_folio_split,
			 enum migrate_mode mode, int reason)
{
	cost_leave();
}

static void compaction_begins(void *data, struct compact_control *control,
			      unsigned long zone_start, unsigned long zone_end, bool sync)
{
	cost_enter_within(CARVEOUT_COST_MIGRATE);
}

static void compaction_ends(void *data, struct compact_control *control,
			    unsigned long zone_start, unsigned long zone_end, bool sync,
			    int status)
{
	cost_leave();
}

static void reclaim_begins(void *data, int order, gfp_t gfp)
{
	cost_enter_within(CARVEOUT_COST_RECLAIM);
}

static void reclaim_ends(void *data, unsigned long reclaimed)
{
	cost_leave();
}

static void cma_begins(void *data, const char *name, unsigned long count, unsigned int align)
{
	cost_enter_within(CARVEOUT_COST_MIGRATE);
}

static void cma_ends(void *data, const char *name, unsigned long pfn, const struct page *page,
		     unsigned long count, unsigned int align, int error)
{
	cost_leave();
	cma_alloc_ended(error);
}

static void work_begins(void *data, struct work_struct *work)
{
	await_started(work);
}

static void work_ends(void *data, struct work_struct *work, work_func_t function)
{
	await_ended();
}

/* The compiler holds each probe against the kernel's own declaration of the tracepoint. */
static void check_types(void)
{
	check_trace_callback_type_mm_migrate_pages_start(migrate_begins);
	check_trace_callback_type_mm_migrate_pages(migrate_ends);
	check_trace_callback_type_mm_compaction_begin(compaction_begins);
	check_trace_callback_type_mm_compaction_end(compaction_ends);
	check_trace_callback_type_mm_vmscan_direct_reclaim_begin(reclaim_begins);
	check_trace_callback_type_mm_vmscan_direct_reclaim_end(reclaim_ends);
	check_trace_callback_type_cma_alloc_start(cma_begins);
	check_trace_callback_type_cma_alloc_finish(cma_ends);
	check_trace_callback_type_workqueue_execute_start(work_begins);
	check_trace_callback_type_workqueue_execute_end(work_ends);
}

static struct watched {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;	/* NULL: not set */
} watched[] = {
	{ "mm_migrate_pages_start", migrate_begins },
	{ "mm_migrate_pages", migrate_ends },
	{ "mm_compaction_begin", compaction_begins },
	{ "mm_compaction_end", compaction_ends },
	{ "mm_vmscan_direct_reclaim_begin", reclaim_begins },
	{ "mm_vmscan_direct_reclaim_end", reclaim_ends },
	{ "cma_alloc_start", cma_begins },
	{ "cma_alloc_finish", cma_ends },
	{ "workqueue_execute_start", work_begins },
	{ "workqueue_execute_end", work_ends },
};

struct search {
	const char *name;
	struct tracepoint *found;
};

static void search_tracepoint(struct tracepoint *tracepoint, void *data)
{
	struct search *search = data;

	if (!strcmp(tracepoint->name, search->name))
		search->found = tracepoint;
}

/* Returns NULL, and says so, where this kernel has none of that name. */
struct tracepoint *probes_find_tracepoint(const char *name)
{
	struct search search = { .name = name };

	for_each_kernel_tracepoint(search_tracepoint, &search);
	if (!search.found)
		pr_err("carveout: this kernel has no tracepoint %s\n", name);
	return search.found;
}

static int watch(struct watched *watched)
{
	struct tracepoint *tracepoint = probes_find_tracepoint(watched->name);
	int ret;

	if (!tracepoint)
		return -ENOENT;
	ret = tracepoint_probe_register(tracepoint, watched->probe, NULL);
	if (!ret)
		watched->tracepoint = tracepoint;
	return ret;
}

static void unwatch_all(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(watched); i++) {
		if (watched[i].tracepoint)
			tracepoint_probe_unregister(watched[i].tracepoint, watched[i].probe, NULL);
		watched[i].tracepoint = NULL;
	}
	tracepoint_synchronize_unregister();
}

/* A time that goes to the wrong category is worse than no module. */
static int watch_all(void)
{
	int i, ret = 0;

	check_types();
	for (i = 0; i < ARRAY_SIZE(watched) && !ret; i++)
		ret = watch(&watched[i]);
	if (ret)
		unwatch_all();
	return ret;
}

/* Whoever is not the lender is let through without a look at the return. */
static int zeroing_begins(struct kretprobe_instance *instance, struct pt_regs *registers)
{
	if (!cost_is_lender())
		return 1;
	cost_enter_within(CARVEOUT_COST_CONTENT);
	return 0;
}

static int isolating_begins(struct kretprobe_instance *instance, struct pt_regs *registers)
{
	if (!cost_is_lender())
		return 1;
	cost_enter_within(CARVEOUT_COST_MIGRATE);
	return 0;
}

static int ends(struct kretprobe_instance *instance, struct pt_regs *registers)
{
	cost_leave();
	return 0;
}

/* Some names are of newer, some of older kernels: one of each kind is there. */
static struct kretprobe returns[] = {
	{ .kp.symbol_name = "folio_zero_user", .entry_handler = zeroing_begins, .handler = ends },
	{ .kp.symbol_name = "clear_huge_page", .entry_handler = zeroing_begins, .handler = ends },
	{ .kp.symbol_name = "alloc_contig_range_noprof", .entry_handler = isolating_begins,
	  .handler = ends },
	{ .kp.symbol_name = "alloc_contig_range", .entry_handler = isolating_begins,
	  .handler = ends },
};

static void return_forget(struct kretprobe *probe)
{
	probe->kp.addr = NULL;
	probe->kp.flags = 0;
}

static void unwatch_returns(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(returns); i++) {
		if (returns[i].kp.addr)
			unregister_kretprobe(&returns[i]);
		return_forget(&returns[i]);
	}
}

static int watch_returns(void)
{
	int i, missing[ARRAY_SIZE(returns)];

	for (i = 0; i < ARRAY_SIZE(returns); i++) {
		missing[i] = register_kretprobe(&returns[i]);
		if (missing[i])
			return_forget(&returns[i]);
	}
	for (i = 0; i < ARRAY_SIZE(returns); i += 2) {
		if (missing[i] && missing[i + 1]) {
			pr_err("carveout: %s() cannot be watched: error %d\n",
			       returns[i].kp.symbol_name, missing[i]);
			unwatch_returns();
			return missing[i];
		}
	}
	return 0;
}

int probes_init(void)
{
	int ret = watch_all();

	if (ret)
		return ret;
	ret = watch_returns();
	if (ret)
		unwatch_all();
	return ret;
}

void probes_exit(void)
{
	unwatch_returns();
	unwatch_all();
}
