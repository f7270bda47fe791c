// SPDX-License-Identifier: GPL-2.0-only
/* The list of lends: what is lent, newest first, and what was given back last. */

#include <linux/mm.h>
#include <linux/slab.h>

#include "lends.h"

LIST_HEAD(lends);
struct extents lent;
struct extents lent_and_held;
struct extents last_given_back;

struct lend *lend_new(const struct lend_ops *ops)
{
	struct lend *lend = kzalloc(sizeof(*lend), GFP_KERNEL);

	if (lend)
		lend->ops = ops;
	return lend;
}

void lend_free(struct lend *lend)
{
	extents_free(&lend->extents);
	kfree(lend);
}

/* Whether the module has a hold on the frames: it can write to them, and give them back. */
bool lend_is_held(const struct lend *lend)
{
	return lend->ops->give_back;
}

static int lends_collect(struct extents *all, bool only_held)
{
	struct lend *lend;
	int ret = 0;

	list_for_each_entry(lend, &lends, node) {
		if (only_held && !lend_is_held(lend))
			continue;
		ret = extents_append_all(all, &lend->extents);
		if (ret)
			break;
	}
	extents_sort_and_merge(all);
	return ret;
}

int lends_reindex(void)
{
	struct extents all = {}, held = {};
	int ret = lends_collect(&all, false);

	if (!ret)
		ret = lends_collect(&held, true);
	if (ret) {
		extents_free(&all);
		extents_free(&held);
		return ret;
	}
	extents_free(&lent);
	extents_free(&lent_and_held);
	lent = all;
	lent_and_held = held;
	return 0;
}

static bool lend_overlaps(const struct lend *lend)
{
	unsigned long i;

	for (i = 0; i < lend->extents.count; i++) {
		const struct extent *extent = &lend->extents.list[i];

		if (extents_pages_within(&lent, extent->pfn, extent->pages))
			return true;
	}
	return extents_overlap_themselves(&lend->extents);
}

/* Takes the lend over only when it succeeds. */
int lend_add(struct lend *lend)
{
	int ret;

	extents_sort_and_merge(&lend->extents);
	if (lend_overlaps(lend))
		return -EEXIST;
	list_add(&lend->node, &lends);
	ret = lends_reindex();
	if (ret)
		list_del(&lend->node);
	else
		extents_free(&last_given_back);
	return ret;
}

static void lend_release(struct lend *lend)
{
	if (lend->ops->give_back)
		lend->ops->give_back(lend);
	lend_free(lend);
}

/* The newest lend that the module can undo. */
static struct lend *lends_newest(void)
{
	struct lend *lend;

	list_for_each_entry(lend, &lends, node) {
		if (lend_is_held(lend))
			return lend;
	}
	return NULL;
}

int lends_give_back(struct carveout_give_back *given)
{
	struct lend *lend = lends_newest();
	int ret;

	if (!lend)
		return -ENOENT;
	ret = extents_append_all(&last_given_back, &lend->extents);
	if (ret)
		return ret;
	extents_sort_and_merge(&last_given_back);
	list_del(&lend->node);
	ret = lends_reindex();
	if (ret) {
		list_add(&lend->node, &lends);
		return ret;
	}
	given->kind = lend->ops->kind;
	given->holder = lend->holder;
	given->bytes = PFN_PHYS(extents_pages(&lend->extents));
	lend_release(lend);
	return 0;
}

void lends_give_back_all(void)
{
	struct lend *lend, *next;

	list_for_each_entry_safe(lend, next, &lends, node) {
		list_del(&lend->node);
		lend_release(lend);
	}
	extents_free(&lent);
	extents_free(&lent_and_held);
	extents_free(&last_given_back);
}
