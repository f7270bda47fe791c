// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends memory that Linux was told to leave alone ("mem=", or a no-map region). Whether there is
 * memory at all is the firmware's word: touching an address without memory is fatal.
 */

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/of.h>
#include <linux/of_address.h>

#include "carveout.h"

static bool node_holds(struct device_node *node, u64 start, u64 last)
{
	struct resource memory;
	int i;

	for (i = 0; !of_address_to_resource(node, i, &memory); i++) {
		if (memory.start <= start && last <= memory.end)
			return true;
	}
	return false;
}

static bool firmware_has_memory(u64 start, u64 last)
{
	struct device_node *node;

	for_each_node_by_type(node, "memory") {
		if (node_holds(node, start, last)) {
			of_node_put(node);
			return true;
		}
	}
	return false;
}

static void carve_out_give_back(struct lend *lend)
{
	memunmap(lend->cookie);
}

/* No linear map reaches here. */
static void *carve_out_address(const struct lend *lend, unsigned long pfn)
{
	return lend->cookie + PFN_PHYS(pfn - lend->extents.list->pfn);
}

static const struct lend_ops carve_out_ops = {
	.kind = CARVEOUT_CARVE_OUT,
	.give_back = carve_out_give_back,
	.address = carve_out_address,
};

static int carve_out_map(struct lend *lend, const struct carveout_range *range)
{
	int ret = extents_append(&lend->extents, PHYS_PFN(range->start), PHYS_PFN(range->bytes));

	if (ret)
		return ret;
	lend->cookie = memremap(range->start, range->bytes, MEMREMAP_WB);
	if (!lend->cookie)
		return -ENOMEM;
	ret = lend_add(lend);
	if (ret)
		memunmap(lend->cookie);
	return ret;
}

int carve_out_lend(const struct carveout_range *range)
{
	struct extent extent;
	struct lend *lend;
	int ret = extent_from_user(&extent, range->start, range->bytes);

	if (ret)
		return ret;
	if (!firmware_has_memory(range->start, range->start + range->bytes - 1))
		return -ENXIO;
	if (region_intersects(range->start, range->bytes, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return -EBUSY;
	lend = lend_new(&carve_out_ops);
	if (!lend)
		return -ENOMEM;
	ret = carve_out_map(lend, range);
	if (ret)
		lend_free(lend);
	return ret;
}
