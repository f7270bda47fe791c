// SPDX-License-Identifier: GPL-2.0-only
/* carveout pattern, carveout poke: is the lent memory there, and ours alone? */

#include <string.h>

#include "tool.h"

static int write_pattern(struct carveout_pattern *pattern)
{
	struct cost cost = device_request(CARVEOUT_IOC_PATTERN_WRITE, pattern);

	return print_cost(&cost);
}

static int check_pattern(struct carveout_pattern *pattern)
{
	struct cost cost = device_request(CARVEOUT_IOC_PATTERN_CHECK, pattern);

	print_number("pages_checked", pattern->pages_checked);
	print_number("pages_bad", pattern->pages_bad);
	print_number("pages_overlapping", pattern->pages_overlapping);
	print_number("pages_free", pattern->pages_free);
	return print_cost(&cost);
}

int run_pattern(int count, char **arguments)
{
	struct carveout_pattern pattern = {};

	if (count != 2)
		return usage("pattern write|check SEED");
	pattern.seed = parse_number("SEED", arguments[1]);
	if (!strcmp(arguments[0], "write"))
		return write_pattern(&pattern);
	if (!strcmp(arguments[0], "check"))
		return check_pattern(&pattern);
	return usage("pattern write|check SEED");
}

int run_poke(int count, char **arguments)
{
	struct cost cost;
	__u64 index;

	if (count != 1)
		return usage("poke N");
	index = parse_number("N", arguments[0]);
	cost = device_request(CARVEOUT_IOC_POKE, &index);
	return print_cost(&cost);
}
