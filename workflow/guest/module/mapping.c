// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends the pages behind a mapping of the calling process, which goes on holding them. The
 * module keeps a reference to each: a page must not migrate, nor be freed with its process,
 * while it is written to behind the process's back.
 *
 * The process is known by the file by which it called, and sleeps in CARVEOUT_IOC_HOLD until it has
 * an order, the last of which is to end. When its file is released, its memory is gone: exit_mm()
 * comes before exit_files().
 */

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "carveout.h"

#define PAGES_AT_ONCE 64
#define HOLDER_END_S 60		/* whoever has not ended by then never will */

/* Of a process's file; its lend may outlive it. One order at a time. */
struct holder {
	struct kref users;
	struct carveout_order order;
	struct completion told;		/* the order */
	struct completion reported;	/* what became of it, or that there will be no report */
	struct completion gone;
};

static void holder_free(struct kref *users)
{
	kfree(container_of(users, struct holder, users));
}

static struct holder *holder_of(struct file *file)
{
	struct holder *holder = file->private_data;

	if (holder)
		return holder;
	holder = kzalloc(sizeof(*holder), GFP_KERNEL);
	if (!holder)
		return NULL;
	kref_init(&holder->users);
	init_completion(&holder->told);
	init_completion(&holder->reported);
	init_completion(&holder->gone);
	/* Pairs with mapping_hold(), which may run in another thread. */
	smp_store_release(&file->private_data, holder);
	return holder;
}

/* Without carveout_lock: who gives back has it, and waits for whoever sleeps here. */
int mapping_hold(struct file *file, struct carveout_order *order)
{
	/* Pairs with holder_of(). */
	struct holder *holder = smp_load_acquire(&file->private_data);
	int ret = holder ? wait_for_completion_interruptible(&holder->told) : -ENOENT;

	if (!ret)
		*order = holder->order;
	return ret;
}

/* The holder has done what it was told. */
int mapping_report(struct file *file, const struct carveout_vm_report *report)
{
	/* Pairs with holder_of(). */
	struct holder *holder = smp_load_acquire(&file->private_data);

	if (!holder)
		return -ENOENT;
	holder->order.report = *report;
	complete(&holder->reported);
	return 0;
}

/* The last that a holder does, however it ends. */
void mapping_release(struct file *file)
{
	struct holder *holder = file->private_data;

	if (!holder)
		return;
	complete_all(&holder->gone);
	complete_all(&holder->reported);
	kref_put(&holder->users, holder_free);
}

static void put_extents(const struct extents *extents)
{
	unsigned long i, page;

	for (i = 0; i < extents->count; i++) {
		for (page = 0; page < extents->list[i].pages; page++)
			put_page(pfn_to_page(extents->list[i].pfn + page));
		cond_resched();
	}
}

/* References are counted: those of another lend of the same frames stay. */
static int mapping_give_back(struct lend *lend)
{
	put_extents(&lend->extents);
	return 0;
}

static int mapping_end_holder(struct lend *lend)
{
	struct holder *holder = lend->cookie;
	long left;

	holder->order.kind = CARVEOUT_ORDER_END;
	complete_all(&holder->told);
	left = wait_for_completion_killable_timeout(&holder->gone, HOLDER_END_S * HZ);
	kref_put(&holder->users, holder_free);
	if (left < 0)
		return left;
	return left ? 0 : -ETIMEDOUT;
}

static const struct lend_ops mapping_ops = {
	.kind = CARVEOUT_MAPPING,
	.give_back = mapping_give_back,
	.end_holder = mapping_end_holder,
};

/* The holder of the lend of a number, from the newest on, of those that have one. */
static struct holder *holder_get(u32 number)
{
	struct lend *lend;

	list_for_each_entry(lend, &lends, node) {
		if (lend->ops->end_holder == mapping_end_holder && !number--) {
			struct holder *holder = lend->cookie;

			kref_get(&holder->users);
			return holder;
		}
	}
	return NULL;
}

/*
 * Who ends says so first, and then that there will be no report: looked at before, the second
 * could be undone here.
 */
static int holder_tell(struct holder *holder, struct carveout_order *order)
{
	int ret;

	reinit_completion(&holder->reported);
	if (completion_done(&holder->gone))
		return -ESRCH;
	holder->order = *order;
	complete(&holder->told);
	ret = wait_for_completion_killable(&holder->reported);
	if (!ret && completion_done(&holder->gone))
		ret = -EPIPE;
	if (!ret)
		order->report = holder->order.report;
	return ret;
}

/* Without carveout_lock while it waits: the holder needs it. */
int mapping_order(struct carveout_order *order)
{
	struct holder *holder;
	int ret;

	if (order->kind == CARVEOUT_ORDER_END || order->kind > CARVEOUT_ORDER_KILL_VM)
		return -EINVAL;
	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	holder = holder_get(order->holder);
	mutex_unlock(&carveout_lock);
	if (!holder)
		return -ENOENT;
	ret = holder_tell(holder, order);
	kref_put(&holder->users, holder_free);
	return ret;
}

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

/* The page allocator cleared each of them, where nothing can watch it; but none of a device's. */
static u64 count_single(struct page **pages, int count)
{
	u64 single = 0;
	int i;

	for (i = 0; i < count; i++)
		single += !folio_test_large(page_folio(pages[i])) && !is_zone_device_page(pages[i]);
	return single;
}

static int collect_pages(struct extents *extents, struct carveout_mapping *mapping)
{
	struct page *pages[PAGES_AT_ONCE];
	u64 at = mapping->address, end = mapping->address + mapping->bytes;
	int wanted, got, ret = 0;

	while (at < end && !ret) {
		wanted = min((end - at) >> PAGE_SHIFT, (u64)PAGES_AT_ONCE);
		got = get_user_pages_fast(at, wanted, FOLL_WRITE, pages);
		if (got <= 0)
			return got ?: -EFAULT;
		mapping->single_pages += count_single(pages, got);
		ret = append_pages(extents, pages, got);
		at += (u64)got << PAGE_SHIFT;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}

static int mapping_note(struct holder *holder, struct carveout_mapping *mapping)
{
	struct lend *lend = lend_new(&mapping_ops);
	int ret;

	if (!lend)
		return -ENOMEM;
	lend->cookie = holder;
	mapping->single_pages = 0;
	ret = collect_pages(&lend->extents, mapping);
	if (!ret)
		ret = lend_add(lend);
	if (ret) {
		put_extents(&lend->extents);
		lend_free(lend);
		return ret;
	}
	kref_get(&holder->users);
	return 0;
}

int mapping_lend(struct file *file, struct carveout_mapping *mapping)
{
	struct holder *holder;
	struct extent unused;
	int ret = extent_from_user(&unused, 0, mapping->bytes);

	if (ret)
		return ret;
	if (!PAGE_ALIGNED(mapping->address))
		return -EINVAL;
	if (mapping->address > TASK_SIZE || mapping->bytes > TASK_SIZE - mapping->address)
		return -ERANGE;
	holder = holder_of(file);
	return holder ? mapping_note(holder, mapping) : -ENOMEM;
}
