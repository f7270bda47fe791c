// SPDX-License-Identifier: GPL-2.0-only
/* The list of lends: what is lent, newest first, and what was given back last. */

#include <linux/io.h>
#include <linux/slab.h>

#include "carveout.h"

LIST_HEAD(lends);
struct extents lent;
struct extents last_given_back;

struct lend *lend_new(enum carveout_kind kind)
{
	struct lend *lend = kzalloc(sizeof(*lend), GFP_KERNEL);

	if (lend)
		lend->kind = kind;
	return lend;
}

void lend_free(struct lend *lend)
{
	extents_free(&lend->extents);
	kfree(lend);
}

static int lends_collect(struct extents *all)
{
	struct lend *lend;
	int ret = 0;

	list_for_each_entry(lend, &lends, node) {
		ret = extents_append_all(all, &lend->extents);
		if (ret)
			break;
	}
	extents_sort_and_merge(all);
	return ret;
}

int lends_reindex(void)
{
	struct extents all = {};
	int ret = lends_collect(&all);

	if (ret) {
		extents_free(&all);
		return ret;
	}
	extents_free(&lent);
	lent = all;
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

int lends_note_given_back(unsigned long pfn, unsigned long pages)
{
	return extents_append(&last_given_back, pfn, pages);
}

static void lend_release(struct lend *lend)
{
	struct extent *extent = lend->extents.list;

	switch (lend->kind) {
	case CARVEOUT_CONTIG:
		free_contig_range(extent->pfn, extent->pages);
		break;
	case CARVEOUT_CMA:
		cma_give_back(lend);
		break;
	case CARVEOUT_CARVE_OUT:
		memunmap(lend->mapping);
		break;
	case CARVEOUT_MAPPING:
		mapping_give_back(lend);
		break;
	case CARVEOUT_ABSENT:
		break;
	}
}

/* The newest lend that the module can undo: absent frames come back by themselves. */
static struct lend *lends_newest(void)
{
	struct lend *lend;

	list_for_each_entry(lend, &lends, node) {
		if (lend->kind != CARVEOUT_ABSENT)
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
	given->kind = lend->kind;
	given->holder = lend->holder;
	given->bytes = PFN_PHYS(extents_pages(&lend->extents));
	lend_release(lend);
	lend_free(lend);
	return 0;
}

void lends_give_back_all(void)
{
	struct lend *lend, *next;

	list_for_each_entry_safe(lend, next, &lends, node) {
		list_del(&lend->node);
		lend_release(lend);
		lend_free(lend);
	}
	extents_free(&lent);
	extents_free(&last_given_back);
}
