/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZONES_H
#define ZONES_H

#include <linux/mmzone.h>
#include <linux/nodemask.h>

/*
 * The zone with pages that follows another, or the first one; NULL after the last. The kernel's
 * for_each_populated_zone() stands on functions that modules may not call.
 */
static inline struct zone *next_zone_with_pages(struct zone *zone)
{
	int nid = zone ? zone_to_nid(zone) : first_online_node;
	int i = zone ? zone_idx(zone) + 1 : 0;

	for (; nid < MAX_NUMNODES; nid = next_online_node(nid), i = 0) {
		for (; i < MAX_NR_ZONES; i++) {
			if (populated_zone(&NODE_DATA(nid)->node_zones[i]))
				return &NODE_DATA(nid)->node_zones[i];
		}
	}
	return NULL;
}

#endif
