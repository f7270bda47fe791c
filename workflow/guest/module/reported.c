// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends free frames that Linux has told the machine of (mm/page_reporting.c): whoever owns the
 * machine has their memory. Linux still has the frames, and takes them without asking. So the
 * module has no hold on them, for Linux they are free as before, and all that can be said later is
 * which of them still are, and still marked.
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "carveout.h"

/* The frames from pfn on that are in one free block; 0 where it is not marked, or none is there. */
static unsigned long reported_rest(unsigned long pfn)
{
#ifdef CONFIG_PAGE_REPORTING
	int order = free_block_order(pfn);
	unsigned long head;

	if (order < 0)
		return 0;
	head = ALIGN_DOWN(pfn, 1UL << order);
	if (PageReported(pfn_to_page(head)))
		return head + (1UL << order) - pfn;
#endif
	return 0;
}

/* Calls for the frames of the range that are marked, run by run. */
typedef int (*run_fn)(unsigned long pfn, unsigned long pages, void *data);

static int visit_reported(const struct extent *extent, run_fn visit, void *data)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;
	int ret = 0;

	while (pfn < end && !ret) {
		unsigned long pages = min(reported_rest(pfn), end - pfn);

		if (pages)
			ret = visit(pfn, pages, data);
		/* What is marked is a pageblock at least, but for kernels that report less. */
		pfn += pages ?: 1;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return ret;
}

static int count(unsigned long pfn, unsigned long pages, void *data)
{
	*(unsigned long *)data += pages;
	return 0;
}

/* Those that Linux has taken back, or that have become part of a block that it has not told of. */
static unsigned long reported_bad_pages(const struct extents *extents)
{
	unsigned long i, good = 0;

	for (i = 0; i < extents->count; i++) {
		if (visit_reported(&extents->list[i], count, &good))
			break;
	}
	return extents_pages(extents) - good;
}

/* The frames come back by themselves. */
static const struct lend_ops reported_ops = {
	.kind = CARVEOUT_REPORTED,
	.bad_pages = reported_bad_pages,
};

struct adoption {
	struct extents found;
	unsigned long wanted;
	unsigned long pages;	/* that are marked */
};

static int adopt(unsigned long pfn, unsigned long pages, void *data)
{
	struct adoption *adoption = data;
	unsigned long taken = min(pages, adoption->wanted);

	adoption->pages += pages;
	adoption->wanted -= taken;
	return taken ? extents_append(&adoption->found, pfn, taken) : 0;
}

static int adopt_all(struct adoption *adoption, const struct carveout_ranges *ranges)
{
	struct extents asked = {}, fresh = {};
	unsigned long i;
	int ret = extents_from_user(&asked, ranges);

	if (!ret && extents_pages(&asked) > MOST_PAGES)
		ret = -E2BIG;
	if (!ret)
		ret = extents_append_all_without(&fresh, &asked, &lent);
	for (i = 0; i < fresh.count && !ret; i++)
		ret = visit_reported(&fresh.list[i], adopt, adoption);
	extents_free(&fresh);
	extents_free(&asked);
	return ret;
}

/* Frames that another lend has are not looked at. */
int reported_lend(struct carveout_reported *reported)
{
	struct adoption adoption = { .wanted = PHYS_PFN(reported->most_bytes) };
	struct lend *lend = lend_new(&reported_ops);
	int ret = lend ? adopt_all(&adoption, &reported->ranges) : -ENOMEM;

	if (!ret && !adoption.found.count)
		ret = -ENOENT;
	if (!ret) {
		swap(lend->extents, adoption.found);
		ret = lend_add(lend);
	}
	reported->reported_bytes = PFN_PHYS(adoption.pages);
	reported->bytes = ret ? 0 : PFN_PHYS(extents_pages(&lend->extents));
	if (ret && lend)
		lend_free(lend);
	extents_free(&adoption.found);
	return ret;
}

/* Nothing has to be done for the frames to be Linux's: they never ceased to be. */
int reported_forget(u64 *bytes)
{
	struct lend *lend, *next;
	int ret = 0;

	list_for_each_entry_safe(lend, next, &lends, node) {
		if (lend->ops != &reported_ops)
			continue;
		ret = extents_append_all(&last_given_back, &lend->extents);
		if (ret)
			break;
		*bytes += PFN_PHYS(extents_pages(&lend->extents));
		list_del(&lend->node);
		lend_free(lend);
	}
	extents_sort_and_merge(&last_given_back);
	return lends_reindex() ?: ret;
}
