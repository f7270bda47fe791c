/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZONES_H
#define ZONES_H

#include <linux/mmzone.h>

/* The kernel's for_each_populated_zone() stands on functions that modules may not call. */
#define for_each_zone_with_pages(nid, i, zone)						\
	for_each_online_node(nid)							\
		for ((i) = 0; (i) < MAX_NR_ZONES; (i)++)				\
			if (populated_zone((zone) = &NODE_DATA(nid)->node_zones[i]))

#endif
