// SPDX-License-Identifier: GPL-2.0-only
/* carveout reuse: what Linux can do with frames that came back, for movable and other pages. */

#include <stdio.h>
#include <string.h>

#include "tool.h"

static const char wanted[] = "reuse [exhaustive] last|START:BYTES...";

static struct cost probe(struct carveout_reuse *reuse, const char *kind)
{
	struct cost cost;

	reuse->movable = !strcmp(kind, "movable");
	cost = device_request(CARVEOUT_IOC_REUSE, reuse);
	if (!cost.error) {
		printf("%s_bytes=%llu\n", kind, (unsigned long long)reuse->bytes);
		printf("%s_untried_bytes=%llu\n", kind, (unsigned long long)reuse->untried_bytes);
	}
	return cost;
}

int run_reuse(int count, char **arguments)
{
	struct carveout_reuse reuse = {};
	struct cost cost;

	if (count && !strcmp(arguments[0], "exhaustive")) {
		reuse.exhaustive = 1;
		count--;
		arguments++;
	}
	if (!count)
		return usage(wanted);
	if (strcmp(arguments[0], "last"))
		parse_ranges(&reuse.ranges, count, arguments);
	cost = probe(&reuse, "movable");
	if (!cost.error)
		cost = probe(&reuse, "unmovable");
	return cost.error ? print_cost(&cost) : DONE;
}
