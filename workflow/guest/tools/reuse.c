// SPDX-License-Identifier: GPL-2.0-only
/* carveout reuse: what Linux can do with frames that came back. */

#include <string.h>

#include "tool.h"

static const char wanted[] = "reuse movable|unmovable [exhaustive] last|START:BYTES...";

int run_reuse(int count, char **arguments)
{
	struct carveout_reuse reuse = {};
	struct cost cost;

	if (count < 2)
		return usage(wanted);
	if (strcmp(arguments[0], "movable") && strcmp(arguments[0], "unmovable"))
		return usage(wanted);
	reuse.movable = arguments[0][0] == 'm';
	reuse.exhaustive = !strcmp(arguments[1], "exhaustive");
	count -= 1 + reuse.exhaustive;
	arguments += 1 + reuse.exhaustive;
	if (!count)
		return usage(wanted);
	if (strcmp(arguments[0], "last"))
		parse_ranges(&reuse.ranges, count, arguments);
	cost = device_request(CARVEOUT_IOC_REUSE, &reuse);
	print_number("bytes", reuse.bytes);
	print_number("allocated_bytes", reuse.allocated_bytes);
	print_number("untried_bytes", reuse.untried_bytes);
	return print_cost(&cost);
}
