// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends frames that Linux gave up through a driver of its own (virtio-mem): those that are
 * absent or PageOffline now and were not when the baseline was taken.
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "carveout.h"

/* The frames come back by themselves. */
static const struct lend_ops absent_ops = { .kind = CARVEOUT_ABSENT };

static struct extents baseline;

static int collect_gone(struct extents *gone, const struct extent *extent)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;
	int ret = 0;

	while (pfn < end && !ret) {
		struct frame_run run = frame_stretch_read(pfn, end);

		if (frame_run_is_gone(&run))
			ret = extents_append(gone, pfn, run.pages);
		pfn += run.pages;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return ret;
}

static int collect_gone_from_user(struct extents *gone, const struct carveout_ranges *ranges)
{
	struct extents asked = {};
	unsigned long i;
	int ret = extents_from_user(&asked, ranges);

	if (!ret && extents_pages(&asked) > MOST_PAGES)
		ret = -E2BIG;
	for (i = 0; i < asked.count && !ret; i++)
		ret = collect_gone(gone, &asked.list[i]);
	extents_free(&asked);
	return ret;
}

int absent_take_baseline(struct carveout_absent *absent)
{
	struct extents gone = {};
	int ret = collect_gone_from_user(&gone, &absent->ranges);

	if (ret) {
		extents_free(&gone);
		return ret;
	}
	extents_free(&baseline);
	baseline = gone;
	absent->bytes = PFN_PHYS(extents_pages(&baseline));
	return 0;
}

/* Of the frames that are gone, those that were there before and that no other lend has. */
static int absent_note(struct lend *lend, const struct extents *gone, u64 *bytes)
{
	struct extents fresh = {};
	int ret = extents_append_all_without(&fresh, gone, &baseline);

	if (!ret)
		ret = extents_append_all_without(&lend->extents, &fresh, &lent);
	extents_free(&fresh);
	if (!ret && !lend->extents.count)
		ret = -ENOENT;
	if (!ret)
		ret = lend_add(lend);
	*bytes = PFN_PHYS(extents_pages(&lend->extents));
	return ret;
}

int absent_lend(struct carveout_absent *absent)
{
	struct extents gone = {};
	struct lend *lend = lend_new(&absent_ops);
	int ret = lend ? collect_gone_from_user(&gone, &absent->ranges) : -ENOMEM;

	if (!ret)
		ret = absent_note(lend, &gone, &absent->bytes);
	if (ret && lend)
		lend_free(lend);
	extents_free(&gone);
	return ret;
}

/* Splits the lend's frames into those still gone and those that came back. */
static int absent_split(const struct lend *lend, struct extents *gone, struct extents *back)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < lend->extents.count && !ret; i++) {
		unsigned long pfn = lend->extents.list[i].pfn;
		unsigned long end = pfn + lend->extents.list[i].pages;

		while (pfn < end && !ret) {
			struct frame_run run = frame_stretch_read(pfn, end);

			ret = extents_append(frame_run_is_gone(&run) ? gone : back, pfn, run.pages);
			pfn += run.pages;
			cond_resched();
		}
	}
	return ret;
}

static int absent_forget_one(struct lend *lend, u64 *bytes)
{
	struct extents gone = {}, back = {};
	int ret = absent_split(lend, &gone, &back);

	if (!ret)
		ret = extents_append_all(&last_given_back, &back);
	if (ret) {
		extents_free(&gone);
	} else {
		*bytes += PFN_PHYS(extents_pages(&back));
		extents_free(&lend->extents);
		lend->extents = gone;
	}
	extents_free(&back);
	return ret;
}

int absent_forget(u64 *bytes)
{
	struct lend *lend, *next;
	int ret = 0;

	list_for_each_entry_safe(lend, next, &lends, node) {
		if (lend->ops != &absent_ops)
			continue;
		ret = absent_forget_one(lend, bytes);
		if (ret)
			break;
		if (!lend->extents.count) {
			list_del(&lend->node);
			lend_free(lend);
		}
	}
	extents_sort_and_merge(&last_given_back);
	return lends_reindex() ?: ret;
}

void absent_exit(void)
{
	extents_free(&baseline);
}
