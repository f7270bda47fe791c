// SPDX-License-Identifier: GPL-2.0-only
/* carveout blocker: which page stands in the way of one more piece. */

#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct {
	const char *word;
	uint32_t area;
} areas[] = {
	{ "any", CARVEOUT_AREA_ANY },
	{ "movable", CARVEOUT_AREA_MOVABLE },
	{ "cma", CARVEOUT_AREA_CMA },
	{ "blocks", CARVEOUT_AREA_BLOCKS },
};

int parse_area(const char *text, uint32_t *area)
{
	size_t i;

	for (i = 0; i < sizeof(areas) / sizeof(*areas); i++) {
		if (strcmp(text, areas[i].word))
			continue;
		*area = areas[i].area;
		return 0;
	}
	return -1;
}

/* Names what stood in the way, if anything does; not part of the cost. */
void print_blocker(struct carveout_blocker *blocker)
{
	struct cost cost = device_request(CARVEOUT_IOC_BLOCKER, blocker);

	if (cost.error || !blocker->found)
		return;
	print_number("blocker_pfn", blocker->pfn);
	printf("blocker_type=%s\n", blocker->type);
	printf("blocker_flags=%s\n", blocker->flags);
	printf("blocker_owner=%s\n", blocker->owner);
}

int run_blocker(int count, char **arguments)
{
	struct carveout_blocker blocker = {};

	if ((count != 3 && count != 4) || parse_area(arguments[2], &blocker.area))
		return usage("blocker SIZE ALIGN any|movable|cma|blocks [START:BYTES]");
	if (count == 4)
		blocker.within = parse_range(arguments[3]);
	blocker.bytes = parse_number("SIZE", arguments[0]);
	blocker.align_bytes = parse_number("ALIGN", arguments[1]);
	print_blocker(&blocker);
	return DONE;
}
