// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout snapshot: what is lent, and counters whose differences tell what an operation made the
 * kernel do.
 */

#include "tool.h"

enum {
	CACHED,
	MIGRATED,
	BY_KSWAPD,
	DIRECTLY,
	BY_KHUGEPAGED,
	OOM_KILLS,
	COUNTERS
};

static void print_counters(void)
{
	struct counter counters[COUNTERS] = {
		[CACHED] = { .name = "nr_file_pages" },
		[MIGRATED] = { .name = "pgmigrate_success" },
		[BY_KSWAPD] = { .name = "pgsteal_kswapd" },
		[DIRECTLY] = { .name = "pgsteal_direct" },
		[BY_KHUGEPAGED] = { .name = "pgsteal_khugepaged" },
		[OOM_KILLS] = { .name = "oom_kill" },
	};

	read_counters("/proc/vmstat", counters, COUNTERS);
	print_number("pages_cached", counters[CACHED].value);
	print_number("pages_migrated", counters[MIGRATED].value);
	print_number("pages_reclaimed", counters[BY_KSWAPD].value + counters[DIRECTLY].value +
					counters[BY_KHUGEPAGED].value);
	print_number("oom_kills", counters[OOM_KILLS].value);
}

int run_snapshot(int count, char **arguments)
{
	struct carveout_lent lent = {};
	struct cost cost;

	(void)arguments;
	if (count)
		return usage("snapshot");
	cost = device_request(CARVEOUT_IOC_LENT, &lent);
	if (cost.error)
		return print_cost(&cost);
	print_number("granted_bytes", lent.granted_bytes);
	print_number("extents", lent.extents);
	print_number("largest_extent_bytes", lent.largest_extent_bytes);
	print_counters();
	return DONE;
}
