// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of lends: what is lent, newest first, and what was given back last.
 *
 * Lends that overlap are taken as they come: that a frame was lent twice is what a verification
 * has to find, and no refusal of the kernel's. No frame is freed twice for it.
 */

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "carveout.h"
#include "vm.h"

LIST_HEAD(lends);
struct extents lent;
struct extents lent_and_held;
unsigned long lent_more_than_once;
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
	extents_free(&lend->lost);
	kfree(lend);
}

/* Whether the module has a hold on the frames: it can write to them, and give them back. */
bool lend_is_held(const struct lend *lend)
{
	return lend->ops->give_back;
}

/* Linux may take the frames back at any moment, without asking. */
bool lend_is_revocable(const struct lend *lend)
{
	return lend->ops->bad_pages;
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
	lent_more_than_once = extents_unite(&all);
	extents_unite(&held);
	extents_free(&lent);
	extents_free(&lent_and_held);
	lent = all;
	lent_and_held = held;
	return 0;
}

/* Takes the lend over only when it succeeds. */
int lend_add(struct lend *lend)
{
	int ret;

	extents_sort_and_merge(&lend->extents);
	list_add(&lend->node, &lends);
	ret = lends_reindex();
	if (ret)
		list_del(&lend->node);
	else
		extents_free(&last_given_back);
	return ret;
}

/*
 * The frames of a lend that is off the list that are nobody else's: neither in a lend that is still
 * on it, which gives them back itself or never had them, nor freed behind the module's back.
 */
int lend_own_frames(const struct lend *lend, struct extents *own)
{
	struct extents unshared = {};
	int ret = extents_append_all_without(&unshared, &lend->extents, &lent);

	if (!ret)
		ret = extents_append_all_without(own, &unshared, &lend->lost);
	extents_free(&unshared);
	return ret;
}

static int lend_release(struct lend *lend, u64 *ns)
{
	u64 start = ktime_get_ns();
	int ret = 0;

	if (lend->ops->give_back)
		ret = lend->ops->give_back(lend);
	if (!ret && lend->ops->end_holder) {
		start = ktime_get_ns();
		ret = lend->ops->end_holder(lend);
	}
	*ns = ktime_get_ns() - start;
	lend_free(lend);
	return ret;
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

/* What was given back last, when this lend is, too. */
static int collect_given_back(const struct lend *lend, struct extents *given_back)
{
	int ret = extents_append_all(given_back, &last_given_back);

	if (!ret)
		ret = extents_append_all(given_back, &lend->extents);
	extents_sort_and_merge(given_back);
	extents_unite(given_back);
	return ret;
}

static int take_off_list(struct lend *lend)
{
	int ret;

	list_del(&lend->node);
	ret = lends_reindex();
	if (ret)
		list_add(&lend->node, &lends);
	return ret;
}

/* What fails in the middle did not come back, as far as anyone knows. */
int lends_give_back(struct carveout_give_back *given)
{
	struct lend *lend = lends_newest();
	struct extents given_back = {};
	int ret = lend ? collect_given_back(lend, &given_back) : -ENOENT;

	if (!ret)
		ret = vm_forget_ranges();
	if (!ret)
		ret = take_off_list(lend);
	if (!ret) {
		given->kind = lend->ops->kind;
		given->bytes = PFN_PHYS(extents_pages(&lend->extents));
		ret = lend_release(lend, &given->ns);
	}
	if (!ret)
		swap(given_back, last_given_back);
	extents_free(&given_back);
	return ret;
}

/* Only when nobody has the module's device open: no holder lives. */
void lends_give_back_all(void)
{
	struct carveout_give_back given;
	struct lend *lend, *next;

	while (lends_newest() && !lends_give_back(&given))
		;
	/* Without a hold; or there was no memory to find out which frames may be freed. */
	list_for_each_entry_safe(lend, next, &lends, node) {
		list_del(&lend->node);
		lend_free(lend);
	}
	extents_free(&lent);
	extents_free(&lent_and_held);
	extents_free(&last_given_back);
}

/* As many as fit on a page, as the tool takes ranges: START:BYTES. */
static int given_back_get(char *line, const struct kernel_param *parameter)
{
	unsigned long i;
	int length = 0;

	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	for (i = 0; i < last_given_back.count; i++) {
		const struct extent *extent = &last_given_back.list[i];

		length += sysfs_emit_at(line, length, "0x%llx:%llu ", (u64)PFN_PHYS(extent->pfn),
					(u64)PFN_PHYS(extent->pages));
	}
	length += sysfs_emit_at(line, length, "\n");
	mutex_unlock(&carveout_lock);
	return length;
}

static const struct kernel_param_ops given_back_operations = { .get = given_back_get };

module_param_cb(given_back, &given_back_operations, NULL, 0400);
MODULE_PARM_DESC(given_back, "ranges that were given back last");
