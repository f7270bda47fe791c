// SPDX-License-Identifier: GPL-2.0-only
/* carveout lend: one way of lending a line in the table below. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tool.h"

/* Whoever asks again after a refusal knows the blocker, and the search is long. */
static int finish(const struct cost *cost, struct carveout_blocker *blocker)
{
	int status = print_cost(cost);

	if (status == REFUSED && !getenv("CARVEOUT_NO_BLOCKER"))
		print_blocker(blocker);
	return status;
}

static int parse_policy(const char *text, uint32_t *policy)
{
	if (!strcmp(text, "free_first"))
		*policy = CARVEOUT_FREE_FIRST;
	else if (!strcmp(text, "lowest_first"))
		*policy = CARVEOUT_LOWEST_FIRST;
	else if (!strcmp(text, "highest_first"))
		*policy = CARVEOUT_HIGHEST_FIRST;
	else
		return -1;
	return 0;
}

static const char contig_usage[] =
	"lend contig SIZE PIECE ALIGN any|movable free_first|lowest_first|highest_first";

static const struct reason contig_reasons[] = {
	{ ENXIO, "no_candidate" },
	{ E2BIG, "too_many_candidates" },
};

static int lend_contig(char **arguments)
{
	struct carveout_contig contig = {
		.bytes = parse_number("SIZE", arguments[0]),
		.piece_bytes = parse_number("PIECE", arguments[1]),
		.align_bytes = parse_number("ALIGN", arguments[2]),
	};
	struct carveout_blocker blocker = {
		.bytes = contig.piece_bytes,
		.align_bytes = contig.align_bytes,
	};
	struct cost cost;

	if (parse_area(arguments[3], &contig.area) || parse_policy(arguments[4], &contig.policy))
		return usage(contig_usage);
	blocker.area = contig.area;
	cost = device_operate(CARVEOUT_IOC_LEND_CONTIG, &contig);
	name_refusal(&cost, contig.kernel_error, 0);
	name_reason(&cost, contig_reasons, sizeof(contig_reasons) / sizeof(*contig_reasons));
	print_number("attempts", contig.attempts);
	return finish(&cost, &blocker);
}

/* The blocker is what stood in the way of one pageblock more. */
static int lend_largest(char **arguments)
{
	struct carveout_largest largest = { .bytes = parse_number("SIZE", arguments[0]) };
	struct carveout_blocker blocker = {};
	struct cost cost;

	if (parse_area(arguments[2], &largest.area))
		return usage("lend largest SIZE PAGEBLOCK any|movable");
	cost = device_operate(CARVEOUT_IOC_LEND_LARGEST, &largest);
	name_refusal(&cost, largest.kernel_error, 0);
	name_reason(&cost, contig_reasons, sizeof(contig_reasons) / sizeof(*contig_reasons));
	print_number("attempts", largest.attempts);
	blocker.area = largest.area;
	blocker.align_bytes = parse_number("PAGEBLOCK", arguments[1]);
	blocker.bytes = largest.granted_bytes + blocker.align_bytes;
	return finish(&cost, &blocker);
}

/* What one page of last-level page table maps: the least that a CMA area is made of. */
static uint64_t cma_granule_bytes(void)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE);

	return page_bytes * page_bytes / sizeof(uint64_t);
}

/* The DMA API took it from elsewhere, or gave nothing and never asked cma_alloc(). */
static void name_cma_refusal(struct cost *cost, uint32_t kernel_error)
{
	if (cost->error == ENODEV) {
		cost->reason = "not_cma";
	} else if (cost->error == ENOMEM && !kernel_error) {
		cost->kernel = true;
		cost->reason = "no_memory_from_dma_api";
	} else {
		name_refusal(cost, kernel_error, 0);
	}
}

static int lend_cma(char **arguments)
{
	struct carveout_cma cma = { .bytes = parse_number("SIZE", arguments[0]) };
	struct carveout_blocker blocker = {
		.bytes = cma.bytes,
		.align_bytes = cma_granule_bytes(),
		.area = CARVEOUT_AREA_CMA,
	};
	struct cost cost = device_operate(CARVEOUT_IOC_LEND_CMA, &cma);

	name_cma_refusal(&cost, cma.kernel_error);
	return finish(&cost, &blocker);
}

static int lend_carve_out(char **arguments)
{
	struct carveout_carve_out carve_out = {
		.start = parse_number("START", arguments[0]),
		.bytes = parse_number("SIZE", arguments[1]),
	};
	struct cost cost = device_operate(CARVEOUT_IOC_LEND_CARVE_OUT, &carve_out);

	name_refusal(&cost, 0, carve_out.reason);
	name_unmapped(&cost);
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

/* A device DAX is mapped in pieces of its alignment, as sysfs tells. */
static uint64_t dax_align_bytes(const char *device)
{
	char path[128], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/dax/devices/%s/align", device);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof(text), file))
		die("read the alignment of a device DAX");
	fclose(file);
	return strtoull(text, NULL, 0);
}

static int lend_dax(char **arguments)
{
	char path[64];
	struct cost cost;

	snprintf(path, sizeof(path), "/dev/%s", arguments[0]);
	cost = holder_start_device(path, parse_number("OFFSET", arguments[1]),
				   parse_number("SIZE", arguments[2]),
				   dax_align_bytes(arguments[0]));
	return print_cost(&cost);
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **arguments);
	const char *usage;
} ways[] = {
	{ "contig", 5, lend_contig, contig_usage },
	{ "largest", 3, lend_largest, "lend largest SIZE PAGEBLOCK any|movable" },
	{ "cma", 1, lend_cma, "lend cma SIZE" },
	{ "carveout", 2, lend_carve_out, "lend carveout START SIZE" },
	{ "blocks", 6, lend_blocks, lend_blocks_usage },
	{ "anonymous", 2, lend_anonymous, "lend anonymous SIZE ordinary|transparent_huge" },
	{ "hugetlbfs", 2, lend_hugetlbfs, "lend hugetlbfs SIZE PAGE_BYTES" },
	{ "dax", 3, lend_dax, "lend dax DEVICE OFFSET SIZE" },
};

static const struct reason absent_reasons[] = {
	{ ENOENT, "nothing_is_gone" },
};

/*
 * Frames that Linux gave up; any number of ranges, so not in the table. Noting them costs nothing:
 * the driver gave them up before.
 */
static int lend_absent(int count, char **arguments)
{
	struct carveout_absent absent = {};
	struct cost cost;

	if (!count)
		return usage("lend absent START:BYTES...");
	parse_ranges(&absent.ranges, count, arguments);
	cost = device_operate(CARVEOUT_IOC_LEND_ABSENT, &absent);
	name_reason(&cost, absent_reasons, sizeof(absent_reasons) / sizeof(*absent_reasons));
	return print_cost(&cost);
}

static const struct reason reported_reasons[] = {
	{ ENOENT, "nothing_is_reported" },
};

/* Free frames that Linux told the machine of; noting them costs nothing either. */
static int lend_reported(int count, char **arguments)
{
	struct carveout_reported reported = {};
	struct cost cost;

	if (count < 2)
		return usage("lend reported SIZE START:BYTES...");
	reported.most_bytes = parse_number("SIZE", arguments[0]);
	parse_ranges(&reported.ranges, count - 1, arguments + 1);
	cost = device_operate(CARVEOUT_IOC_LEND_REPORTED, &reported);
	name_reason(&cost, reported_reasons, sizeof(reported_reasons) / sizeof(*reported_reasons));
	print_number("adopted_bytes", reported.bytes);
	print_number("reported_bytes", reported.reported_bytes);
	return print_cost(&cost);
}

static const char lend_usage[] =
	"lend contig|largest|cma|carveout|blocks|anonymous|hugetlbfs|dax|absent|reported ...";

int run_lend(int count, char **arguments)
{
	size_t i;

	if (count && !strcmp(arguments[0], "absent"))
		return lend_absent(count - 1, arguments + 1);
	if (count && !strcmp(arguments[0], "reported"))
		return lend_reported(count - 1, arguments + 1);
	for (i = 0; count && i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(arguments[0], ways[i].name))
			continue;
		if (count - 1 != ways[i].arguments)
			return usage(ways[i].usage);
		return ways[i].run(arguments + 1);
	}
	return usage(lend_usage);
}
