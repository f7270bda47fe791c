// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends from a CMA area: the default one, or where the device tree has a node for the lender with a
 * memory-region, that one. cma_alloc() is not exported: the DMA API is the way in, with
 * DMA_ATTR_NO_KERNEL_MAPPING so that it neither maps nor zeroes the memory by itself.
 */

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/sched.h>

#include "carveout.h"
#include "costs.h"

/* Of a node of the device tree that names an area */
#define LENDER "carveout,lender"

/* Made or found at the first lend: a trial without CMA has no such device. */
static struct platform_device *requester;
static bool has_own_area;

/* The task in the DMA API, and what cma_alloc() told it: the API says NULL whatever went wrong. */
static struct task_struct *asker;
static int told;

/* The kernel has made a device of the node at boot, which no driver wants. */
static int device_with_area(struct device_node *node)
{
	struct platform_device *found = of_find_device_by_node(node);
	int ret;

	if (!found)
		return -ENODEV;
	ret = of_reserved_mem_device_init(&found->dev);
	if (ret) {
		put_device(&found->dev);
		return ret;
	}
	requester = found;
	has_own_area = true;
	return 0;
}

static int device_without_area(void)
{
	struct platform_device_info info = {
		.name = CARVEOUT_DEVICE,
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	struct platform_device *made = platform_device_register_full(&info);

	if (IS_ERR(made))
		return PTR_ERR(made);
	requester = made;
	return 0;
}

static int cma_device_make(void)
{
	struct device_node *node;
	int ret;

	if (requester)
		return 0;
	node = of_find_compatible_node(NULL, NULL, LENDER);
	ret = node ? device_with_area(node) : device_without_area();
	of_node_put(node);
	return ret ?: dma_set_mask_and_coherent(&requester->dev, DMA_BIT_MASK(64));
}

static void cma_free(size_t bytes, void *cookie, dma_addr_t dma)
{
	dma_free_attrs(&requester->dev, bytes, cookie, dma, DMA_ATTR_NO_KERNEL_MAPPING);
}

/* The DMA API takes back all or nothing. */
static int cma_give_back(struct lend *lend)
{
	struct extents own = {};
	int ret = lend_own_frames(lend, &own);

	if (!ret && extents_pages(&own) != extents_pages(&lend->extents))
		ret = -EBUSY;
	if (!ret)
		cma_free(PFN_PHYS(lend->extents.list->pages), lend->cookie, lend->dma);
	extents_free(&own);
	return ret;
}

static const struct lend_ops cma_ops = {
	.kind = CARVEOUT_CMA,
	.give_back = cma_give_back,
};

/* The DMA layer takes small requests from anywhere when CMA has nothing. */
static bool is_from_cma(unsigned long pfn, unsigned long pages)
{
	unsigned long at;

	for (at = pageblock_start_pfn(pfn); at < pfn + pages; at += pageblock_nr_pages) {
		if (!is_migrate_cma(pageblock_migratetype(at)))
			return false;
	}
	return true;
}

static int cma_note(struct page *cookie, dma_addr_t dma, unsigned long pages)
{
	unsigned long pfn = page_to_pfn(cookie);
	struct lend *lend;
	int ret;

	if (!is_from_cma(pfn, pages))
		return -ENODEV;
	lend = lend_new(&cma_ops);
	if (!lend)
		return -ENOMEM;
	lend->cookie = cookie;
	lend->dma = dma;
	ret = extents_append(&lend->extents, pfn, pages);
	if (!ret)
		ret = lend_add(lend);
	if (ret)
		lend_free(lend);
	return ret;
}

/*
 * From probes.c, after cma_alloc(). When it has found memory, the DMA API cleans the caches of it;
 * otherwise it tries its luck elsewhere. Some kernels do not say why none was found: error 0.
 */
void cma_alloc_ended(bool found, int error)
{
	if (!in_task() || READ_ONCE(asker) != current)
		return;
	told = -error;
	cost_switch(found ? CARVEOUT_COST_CONTENT : CARVEOUT_COST_REST);
}

/*
 * Quietly: without __GFP_NOWARN, the API's luck elsewhere is a WARN() for every size that the page
 * allocator does not have.
 */
static struct page *cma_ask(struct carveout_cma *request, dma_addr_t *dma)
{
	struct page *cookie;

	told = 0;
	WRITE_ONCE(asker, current);
	cost_enter(CARVEOUT_COST_REST);
	cookie = dma_alloc_attrs(&requester->dev, request->bytes, dma, GFP_KERNEL | __GFP_NOWARN,
				 DMA_ATTR_NO_KERNEL_MAPPING);
	cost_leave();
	WRITE_ONCE(asker, NULL);
	request->kernel_error = told;
	return cookie;
}

int cma_lend(struct carveout_cma *request)
{
	struct extent extent;
	dma_addr_t dma;
	struct page *cookie;
	int ret = extent_from_user(&extent, 0, request->bytes);

	request->kernel_error = 0;
	if (!ret && request->reserved)
		ret = -EINVAL;
	if (!ret)
		ret = cma_device_make();
	if (ret)
		return ret;
	cookie = cma_ask(request, &dma);
	if (!cookie)
		return -ENOMEM;
	ret = cma_note(cookie, dma, extent.pages);
	if (ret)
		cma_free(request->bytes, cookie, dma);
	else
		request->start = PFN_PHYS(page_to_pfn(cookie));
	return ret;
}

void cma_exit(void)
{
	if (has_own_area) {
		of_reserved_mem_device_release(&requester->dev);
		put_device(&requester->dev);
	} else if (requester) {
		platform_device_unregister(requester);
	}
}
