// SPDX-License-Identifier: GPL-2.0-only
/* carveout unmovable: a load of kernel pages that cannot move. */

#include "tool.h"

int run_unmovable(int count, char **arguments)
{
	struct carveout_unmovable unmovable = {};
	struct cost cost;

	if (count != 2 && count != 3)
		return usage("unmovable COUNT SEED [CLUSTER_COUNT]");
	unmovable.pageblocks = parse_number("COUNT", arguments[0]);
	unmovable.seed = parse_number("SEED", arguments[1]);
	unmovable.cluster_pageblocks = count == 3 ? parse_number("CLUSTER_COUNT", arguments[2]) : 1;
	cost = device_request(CARVEOUT_IOC_UNMOVABLE, &unmovable);
	print_number("pages", unmovable.pages);
	print_number("eligible", unmovable.eligible);
	return print_cost(&cost);
}
