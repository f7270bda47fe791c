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

#include <trace/events/cma.h>
#include <trace/events/workqueue.h>

#include "costs.h"

/*
 * The arguments of tracepoints differ from kernel to kernel. A probe that reads none has none: on
 * arm64 they come in registers, and whoever does not know them leaves them there.
 */
static void migration_begins(void *data)
{
	cost_enter_within(CARVEOUT_COST_MIGRATE);
}

static void reclaim_begins(void *data)
{
	cost_enter_within(CARVEOUT_COST_RECLAIM);
}

static void either_ends(void *data)
{
	cost_leave();
}

#ifdef HAS_CMA_ERROR
static void cma_ends(void *data, const char *name, unsigned long pfn, const struct page *page,
		     unsigned long count, unsigned int align, int error)
{
	cost_leave();
	cma_alloc_ended(!error, error);
}
#else
static void cma_ends(void *data, const char *name, unsigned long pfn, const struct page *page,
		     unsigned long count, unsigned int align)
{
	cost_leave();
	cma_alloc_ended(page, 0);
}
#endif

static void work_begins(void *data, struct work_struct *work)
{
	await_started(work);
}

static void work_ends(void *data)
{
	await_ended();
}

/* The compiler holds what is read against the kernel's own declaration of the tracepoint. */
static void check_types(void)
{
	check_trace_callback_type_cma_alloc_finish(cma_ends);
	check_trace_callback_type_workqueue_execute_start(work_begins);
}

static struct watched {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;	/* NULL: not set */
} watched[] = {
	{ "mm_migrate_pages_start", migration_begins },
	{ "mm_migrate_pages", either_ends },
	{ "mm_compaction_begin", migration_begins },
	{ "mm_compaction_end", either_ends },
	{ "mm_vmscan_direct_reclaim_begin", reclaim_begins },
	{ "mm_vmscan_direct_reclaim_end", either_ends },
	{ "cma_alloc_start", migration_begins },
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

/* A driver that sleeps waits for what is no work of its own. */
static int sleep_begins(struct kretprobe_instance *instance, struct pt_regs *registers)
{
	if (!await_sleeps())
		return 1;
	cost_enter(CARVEOUT_COST_UNCOUNTED);
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
	{ .kp.symbol_name = "msleep", .entry_handler = sleep_begins, .handler = ends },
	{ .kp.symbol_name = "msleep_interruptible", .entry_handler = sleep_begins,
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
