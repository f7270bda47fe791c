// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends whole memory blocks that Linux had: each is taken offline and removed, which is done for
 * who added the memory, and mapped here as a carve-out is. It is given back by adding it again.
 *
 * Whoever watches memory going offline takes carveout_lock, and the kernel's own locks are held by
 * then. So memory goes and comes without it: a lend is noted when its block has gone, and a block
 * comes back when its lend is off the list. What is between the two is nobody's.
 */

#include <linux/io.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/slab.h>

#include "carveout.h"
#include "costs.h"

/* Taken before carveout_lock, and before the kernel's locks of memory that comes and goes. */
static DEFINE_MUTEX(blocks_lock);

/* What is lent of it, or nobody's any more and to be added again: then it is on the list. */
struct block {
	struct list_head node;
	u64 start;
	u64 bytes;
	bool memmap_on_memory;
	void *address;
};

static LIST_HEAD(returned);	/* carveout_lock */

/* Of that form the kernel wants it: neither kexec nor a dump takes it for the firmware's memory. */
static const char resource_name[] = "System RAM (carveout)";

static bool is_online(u64 start, u64 bytes)
{
	return pfn_to_online_page(PHYS_PFN(start + bytes - 1));
}

/* Whether it comes online, and in which zone, is the kernel's policy (memhp_default_state=). */
static int add_block(u64 start, u64 bytes, bool memmap_on_memory)
{
	mhp_t flags = MHP_MERGE_RESOURCE | (memmap_on_memory ? MHP_MEMMAP_ON_MEMORY : MHP_NONE);

	return add_memory_driver_managed(memory_add_physaddr_to_nid(start), start, bytes,
					 resource_name, flags);
}

/* One by one, for older kernels put no memmap on memory otherwise. */
static int add_blocks(struct carveout_blocks *request)
{
	u64 at, block_bytes = memory_block_size_bytes();
	int ret = 0;

	for (at = 0; at < request->bytes && !ret; at += block_bytes) {
		ret = add_block(request->start + at, block_bytes, request->memmap_on_memory);
		if (ret)
			request->kernel_error = -ret;
		else if (!is_online(request->start + at, block_bytes))
			request->reason = CARVEOUT_NOT_ONLINE;
	}
	return request->reason ? -EIO : ret;
}

static int blocks_check(struct carveout_blocks *request)
{
	struct extent unused;
	int ret = extent_from_user(&unused, request->start, request->bytes);

	request->reason = CARVEOUT_NO_REASON;
	request->kernel_error = 0;
	if (ret)
		return ret;
	if (request->reserved || request->memmap_on_memory > 1 ||
	    !IS_ALIGNED(request->start | request->bytes, memory_block_size_bytes()))
		return -EINVAL;
	return firmware_check(request->start, request->bytes, &request->reason);
}

int blocks_add(struct carveout_blocks *request)
{
	int ret = blocks_check(request);

	if (ret)
		return ret;
	if (mutex_lock_killable(&blocks_lock))
		return -EINTR;
	if (linux_has_memory(request->start, request->bytes)) {
		request->reason = CARVEOUT_LINUX_HAS_IT;
		ret = -EBUSY;
	} else {
		ret = add_blocks(request);
	}
	mutex_unlock(&blocks_lock);
	return ret;
}

static int block_give_back(struct lend *lend)
{
	struct block *block = lend->cookie;

	memunmap(block->address);
	list_add_tail(&block->node, &returned);
	return 0;
}

/* No linear map reaches here. */
static void *block_address(const struct lend *lend, unsigned long pfn)
{
	const struct block *block = lend->cookie;

	return block->address + PFN_PHYS(pfn) - block->start;
}

static const struct lend_ops block_ops = {
	.kind = CARVEOUT_BLOCKS,
	.give_back = block_give_back,
	.address = block_address,
};

static int block_map(struct lend *lend, struct block *block)
{
	int ret = extents_append(&lend->extents, PHYS_PFN(block->start), PHYS_PFN(block->bytes));

	if (ret)
		return ret;
	cost_enter(CARVEOUT_COST_MAP);
	block->address = memremap(block->start, block->bytes, MEMREMAP_WB);
	cost_leave();
	if (!block->address)
		return -ENOMEM;
	mutex_lock(&carveout_lock);
	lend->cookie = block;
	ret = lend_add(lend);
	mutex_unlock(&carveout_lock);
	if (ret)
		memunmap(block->address);
	return ret;
}

/* The lend takes the block over only when it succeeds; Linux gets it again otherwise. */
static int block_note(struct block *block)
{
	struct lend *lend = lend_new(&block_ops);
	int ret = lend ? block_map(lend, block) : -ENOMEM;

	if (!ret)
		return 0;
	if (lend)
		lend_free(lend);
	if (add_block(block->start, block->bytes, block->memmap_on_memory))
		pr_err("carveout: the block at %#llx was removed and cannot be added\n",
		       block->start);
	return ret;
}

/*
 * Offlining ends when all has moved, or an unmovable page was found, or with a signal: what cannot
 * move for now is tried again without end. Migration and reclaim in it go to their own costs.
 */
static int block_remove(struct carveout_blocks *request)
{
	int ret;

	begin_with_tick();
	cost_enter(CARVEOUT_COST_REST);
	ret = offline_and_remove_memory(request->start, request->bytes);
	cost_leave();
	request->kernel_error = -ret;
	return ret;
}

static int block_lend(struct carveout_blocks *request)
{
	struct block *block;
	int ret;

	if (!linux_has_memory(request->start, request->bytes)) {
		request->reason = CARVEOUT_LINUX_LACKS_IT;
		return -ENODEV;
	}
	block = kzalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	block->start = request->start;
	block->bytes = request->bytes;
	block->memmap_on_memory = request->memmap_on_memory;
	ret = block_remove(request) ?: block_note(block);
	if (ret)
		kfree(block);
	return ret;
}

int blocks_lend(struct carveout_blocks *request)
{
	int ret = blocks_check(request);

	if (ret)
		return ret;
	if (request->bytes != memory_block_size_bytes())
		return -EINVAL;
	if (mutex_lock_killable(&blocks_lock))
		return -EINTR;
	ret = block_lend(request);
	mutex_unlock(&blocks_lock);
	return ret;
}

static struct block *next_returned(void)
{
	struct block *block;

	mutex_lock(&carveout_lock);
	block = list_first_entry_or_null(&returned, struct block, node);
	if (block)
		list_del(&block->node);
	mutex_unlock(&carveout_lock);
	return block;
}

static int bring_back_all(struct carveout_give_back *given)
{
	struct block *block;
	int ret = 0, last = 0;

	while ((block = next_returned())) {
		ret = add_block(block->start, block->bytes, block->memmap_on_memory);
		if (ret) {
			given->kernel_error = -ret;
		} else if (!is_online(block->start, block->bytes)) {
			given->reason = CARVEOUT_NOT_ONLINE;
			ret = -EIO;
		}
		last = ret ?: last;
		kfree(block);
	}
	return last;
}

/* The second half of a give back. What Linux does not take stays hidden from it. */
int blocks_bring_back(struct carveout_give_back *given)
{
	u64 start;
	int ret;

	if (given->kind != CARVEOUT_BLOCKS)
		return 0;
	mutex_lock(&blocks_lock);
	begin_with_tick();
	start = ktime_get_ns();
	ret = bring_back_all(given);
	given->ns += ktime_get_ns() - start;
	mutex_unlock(&blocks_lock);
	return ret;
}

/* When nobody has the module's device open. */
void blocks_exit(void)
{
	struct carveout_give_back unused;

	bring_back_all(&unused);
}
