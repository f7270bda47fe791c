// SPDX-License-Identifier: GPL-2.0-only
/* carveout snapshot: counters whose differences tell what an operation made the kernel do. */

#include "tool.h"

int run_snapshot(int count, char **arguments)
{
	static const char vmstat[] = "/proc/vmstat";

	(void)arguments;
	if (count)
		return usage("snapshot");
	print_number("pages_migrated", read_counter(vmstat, "pgmigrate_success"));
	print_number("pages_reclaimed", read_counter(vmstat, "pgsteal_kswapd") +
					read_counter(vmstat, "pgsteal_direct") +
					read_counter(vmstat, "pgsteal_khugepaged"));
	print_number("oom_kills", read_counter(vmstat, "oom_kill"));
	return DONE;
}
