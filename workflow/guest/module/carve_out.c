// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lends memory that Linux was told to leave alone ("mem=", "no-map"). Whether there is memory at
 * all is the firmware's word: touching an address without memory is fatal. So is it whether the
 * memory is somebody's: what it named in /reserved-memory is a device's or its own, mapped by Linux
 * or not, but for a node that says that it is there to be lent.
 */

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>

#include "carveout.h"
#include "costs.h"

/* Of a node of /reserved-memory */
#define LENDABLE "carveout,lendable"

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

static bool touches(u64 start, u64 last, u64 other_start, u64 other_last)
{
	return start <= other_last && other_start <= last;
}

/* By the addresses that it names, or by the place that the kernel found for it at boot. */
static bool node_touches(struct device_node *node, u64 start, u64 last)
{
	struct reserved_mem *placed = of_reserved_mem_lookup(node);
	struct resource named;
	int i;

	for (i = 0; !of_address_to_resource(node, i, &named); i++) {
		if (touches(start, last, named.start, named.end))
			return true;
	}
	return placed && placed->size &&
	       touches(start, last, placed->base, placed->base + placed->size - 1);
}

static bool firmware_reserves(u64 start, u64 last)
{
	struct device_node *parent = of_find_node_by_path("/reserved-memory"), *node;
	bool found = false;

	for_each_available_child_of_node(parent, node) {
		found = !of_device_is_compatible(node, LENDABLE) &&
			node_touches(node, start, last);
		if (found) {
			of_node_put(node);
			break;
		}
	}
	of_node_put(parent);
	return found;
}

static int carve_out_give_back(struct lend *lend)
{
	memunmap(lend->cookie);
	return 0;
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

static int carve_out_map(struct lend *lend, const struct carveout_carve_out *request)
{
	int ret = extents_append(&lend->extents, PHYS_PFN(request->start),
				 PHYS_PFN(request->bytes));

	if (ret)
		return ret;
	cost_enter(CARVEOUT_COST_MAP);
	lend->cookie = memremap(request->start, request->bytes, MEMREMAP_WB);
	cost_leave();
	if (!lend->cookie)
		return -ENOMEM;
	ret = lend_add(lend);
	if (ret)
		memunmap(lend->cookie);
	return ret;
}

static int refuse(u32 *to, enum carveout_reason reason, int error)
{
	*to = reason;
	return error;
}

/* Whether any of it is Linux's. */
bool linux_has_memory(u64 start, u64 bytes)
{
	return region_intersects(start, bytes, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	       REGION_DISJOINT;
}

/* Whether it is memory, and by the word of the firmware nobody else's. */
int firmware_check(u64 start, u64 bytes, u32 *reason)
{
	u64 last = start + bytes - 1;

	if (!firmware_has_memory(start, last))
		return refuse(reason, CARVEOUT_NO_MEMORY, -ENXIO);
	if (firmware_reserves(start, last))
		return refuse(reason, CARVEOUT_RESERVED_MEMORY, -EPERM);
	return 0;
}

static int carve_out_check(struct carveout_carve_out *request)
{
	int ret = firmware_check(request->start, request->bytes, &request->reason);

	if (!ret && linux_has_memory(request->start, request->bytes))
		ret = refuse(&request->reason, CARVEOUT_LINUX_HAS_IT, -EBUSY);
	return ret;
}

int carve_out_lend(struct carveout_carve_out *request)
{
	struct extent extent;
	struct lend *lend;
	int ret = extent_from_user(&extent, request->start, request->bytes);

	request->reason = CARVEOUT_NO_REASON;
	if (!ret)
		ret = carve_out_check(request);
	if (ret)
		return ret;
	lend = lend_new(&carve_out_ops);
	if (!lend)
		return -ENOMEM;
	ret = carve_out_map(lend, request);
	if (ret)
		lend_free(lend);
	return ret;
}
