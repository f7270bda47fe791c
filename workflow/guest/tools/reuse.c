// SPDX-License-Identifier: GPL-2.0-only
/* carveout reuse: what Linux can do with frames that came back, for movable and other pages. */

#include <stdio.h>
#include <string.h>

#include "tool.h"

static void print_for(const char *kind, const char *name, uint64_t value)
{
	printf("%s_%s=%llu\n", kind, name, (unsigned long long)value);
}

static struct cost probe(struct carveout_reuse *reuse, const char *kind)
{
	struct cost cost;

	reuse->movable = !strcmp(kind, "movable");
	cost = device_request(CARVEOUT_IOC_REUSE, reuse);
	if (!cost.error) {
		print_for(kind, "allocator_bytes", reuse->allocator_bytes);
		print_for(kind, "address_bytes", reuse->address_bytes);
		print_for(kind, "untried_bytes", reuse->untried_bytes);
	}
	return cost;
}

int run_reuse(int count, char **arguments)
{
	struct carveout_reuse reuse = {};
	struct cost cost;

	if (!count)
		return usage("reuse last|START:BYTES...");
	if (strcmp(arguments[0], "last"))
		parse_ranges(&reuse.ranges, count, arguments);
	cost = probe(&reuse, "movable");
	if (!cost.error)
		cost = probe(&reuse, "unmovable");
	return cost.error ? print_cost(&cost) : DONE;
}
