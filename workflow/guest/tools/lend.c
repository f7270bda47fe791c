// SPDX-License-Identifier: GPL-2.0-only
/* carveout lend: one way of lending a line in the table below. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tool.h"

/* Names what stood in the way, if anything does; not part of the cost. */
static void print_blocker(struct carveout_blocker *blocker)
{
	struct cost cost = device_request(CARVEOUT_IOC_BLOCKER, blocker);

	if (cost.error || !blocker->found)
		return;
	print_number("blocker_pfn", blocker->pfn);
	printf("blocker_type=%s\n", blocker->type);
	printf("blocker_flags=%s\n", blocker->flags);
}

/* Whoever asks again after a refusal knows the blocker, and the search is long. */
static int finish(const struct cost *cost, struct carveout_blocker *blocker)
{
	int status = print_cost(cost);

	if (status == REFUSED && !getenv("CARVEOUT_NO_BLOCKER"))
		print_blocker(blocker);
	return status;
}

static int parse_area(const char *text, uint32_t *area)
{
	if (!strcmp(text, "any"))
		*area = CARVEOUT_AREA_ANY;
	else if (!strcmp(text, "movable"))
		*area = CARVEOUT_AREA_MOVABLE;
	else
		return -1;
	return 0;
}

static int lend_contig(char **arguments)
{
	struct carveout_contig contig = {
		.bytes = parse_number("SIZE", arguments[0]),
		.align_bytes = parse_number("ALIGN", arguments[1]),
		.step_bytes = parse_number("STEP", arguments[2]),
	};
	struct carveout_blocker blocker = {
		.bytes = contig.bytes,
		.align_bytes = contig.align_bytes,
		.step_bytes = contig.step_bytes,
	};
	struct cost cost;

	if (parse_area(arguments[3], &contig.area))
		return usage("lend contig SIZE ALIGN STEP any|movable");
	blocker.area = contig.area;
	cost = device_request(CARVEOUT_IOC_LEND_CONTIG, &contig);
	print_number("attempts", contig.attempts);
	return finish(&cost, &blocker);
}

/* What one page of last-level page table maps: the least that a CMA area is made of. */
static uint64_t cma_granule_bytes(void)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE);

	return page_bytes * page_bytes / sizeof(uint64_t);
}

static int lend_cma(char **arguments)
{
	struct carveout_range range = { .bytes = parse_number("SIZE", arguments[0]) };
	struct carveout_blocker blocker = {
		.bytes = range.bytes,
		.align_bytes = cma_granule_bytes(),
		.step_bytes = cma_granule_bytes(),
		.area = CARVEOUT_AREA_CMA,
	};
	struct cost cost = device_request(CARVEOUT_IOC_LEND_CMA, &range);

	return finish(&cost, &blocker);
}

static const char * const reason_words[] = {
	[CARVEOUT_NO_MEMORY] = "no_memory",
	[CARVEOUT_LINUX_HAS_IT] = "linux_has_it",
	[CARVEOUT_RESERVED_MEMORY] = "reserved_memory",
};

static int lend_carve_out(char **arguments)
{
	struct carveout_carve_out carve_out = {
		.start = parse_number("START", arguments[0]),
		.bytes = parse_number("SIZE", arguments[1]),
	};
	struct cost cost = device_request(CARVEOUT_IOC_LEND_CARVE_OUT, &carve_out);

	if (carve_out.reason)
		printf("refused_by=carveout\nreason=%s\n", reason_words[carve_out.reason]);
	return print_cost(&cost);
}

/* The process that will hold the memory inherits it that there are no huge pages. */
static int lend_anonymous(char **arguments)
{
	bool ordinary = !strcmp(arguments[1], "ordinary");
	struct cost cost;

	if (!ordinary && strcmp(arguments[1], "transparent_huge"))
		return usage("lend anonymous SIZE ordinary|transparent_huge");
	if (ordinary && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("do without transparent huge pages");
	cost = holder_start(parse_number("SIZE", arguments[0]), 0);
	return print_cost(&cost);
}

static int lend_hugetlbfs(char **arguments)
{
	struct cost cost = holder_start(parse_number("SIZE", arguments[0]),
					parse_number("PAGE_BYTES", arguments[1]));

	return print_cost(&cost);
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **arguments);
	const char *usage;
} ways[] = {
	{ "contig", 4, lend_contig, "lend contig SIZE ALIGN STEP any|movable" },
	{ "cma", 1, lend_cma, "lend cma SIZE" },
	{ "carveout", 2, lend_carve_out, "lend carveout START SIZE" },
	{ "anonymous", 2, lend_anonymous, "lend anonymous SIZE ordinary|transparent_huge" },
	{ "hugetlbfs", 2, lend_hugetlbfs, "lend hugetlbfs SIZE PAGE_BYTES" },
};

/* Frames that Linux gave up; any number of ranges, so not in the table. */
static int lend_absent(int count, char **arguments)
{
	struct carveout_absent absent = {};
	struct cost cost;

	if (!count)
		return usage("lend absent START:BYTES...");
	parse_ranges(&absent.ranges, count, arguments);
	cost = device_request(CARVEOUT_IOC_LEND_ABSENT, &absent);
	return print_cost(&cost);
}

int run_lend(int count, char **arguments)
{
	size_t i;

	if (count && !strcmp(arguments[0], "absent"))
		return lend_absent(count - 1, arguments + 1);
	for (i = 0; count && i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(arguments[0], ways[i].name))
			continue;
		if (count - 1 != ways[i].arguments)
			return usage(ways[i].usage);
		return ways[i].run(arguments + 1);
	}
	return usage("lend contig|cma|carveout|anonymous|hugetlbfs|absent ...");
}
