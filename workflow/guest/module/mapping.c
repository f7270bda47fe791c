// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends the pages behind a mapping of the calling process, which goes on holding them. The
 * module keeps a reference to each: a page must not migrate, nor be freed with its process,
 * while it is written to behind the process's back.
 */

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "carveout.h"

#define PAGES_AT_ONCE 64

static void put_extents(const struct extents *extents)
{
	unsigned long i, page;

	for (i = 0; i < extents->count; i++) {
		for (page = 0; page < extents->list[i].pages; page++)
			put_page(pfn_to_page(extents->list[i].pfn + page));
		cond_resched();
	}
}

static void mapping_give_back(struct lend *lend)
{
	put_extents(&lend->extents);
}

static const struct lend_ops mapping_ops = {
	.kind = CARVEOUT_MAPPING,
	.give_back = mapping_give_back,
};

static int append_pages(struct extents *extents, struct page **pages, int count)
{
	int i, ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = extents_append(extents, page_to_pfn(pages[i]), 1);
	/* Those that are in the list are put with it. */
	for (i = ret ? i - 1 : count; i < count; i++)
		put_page(pages[i]);
	return ret;
}

static int collect_pages(struct extents *extents, const struct carveout_mapping *mapping)
{
	struct page *pages[PAGES_AT_ONCE];
	u64 at = mapping->address, end = mapping->address + mapping->bytes;
	int wanted, got, ret = 0;

	while (at < end && !ret) {
		wanted = min((end - at) >> PAGE_SHIFT, (u64)PAGES_AT_ONCE);
		got = get_user_pages_fast(at, wanted, FOLL_WRITE, pages);
		if (got <= 0)
			return got ?: -EFAULT;
		ret = append_pages(extents, pages, got);
		at += (u64)got << PAGE_SHIFT;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}

int mapping_lend(const struct carveout_mapping *mapping)
{
	struct extent unused;
	struct lend *lend;
	int ret = extent_from_user(&unused, 0, mapping->bytes);

	if (ret)
		return ret;
	if (!PAGE_ALIGNED(mapping->address))
		return -EINVAL;
	if (mapping->address > TASK_SIZE || mapping->bytes > TASK_SIZE - mapping->address)
		return -ERANGE;
	lend = lend_new(&mapping_ops);
	if (!lend)
		return -ENOMEM;
	lend->holder = task_tgid_vnr(current);
	ret = collect_pages(&lend->extents, mapping);
	if (!ret)
		ret = lend_add(lend);
	if (ret) {
		put_extents(&lend->extents);
		lend_free(lend);
	}
	return ret;
}
