// SPDX-License-Identifier: GPL-2.0-only
/* carveout census: one reading of the host's memory, as members of a JSON object. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define SMALLEST_PAGEBLOCK_BYTES 262144

static void put(const char *name, uint64_t value)
{
	printf("\"%s\":%llu,", name, (unsigned long long)value);
}

static void put_counters(uint64_t page_bytes)
{
	static const char vmstat[] = "/proc/vmstat", meminfo[] = "/proc/meminfo";

	put("memmap_counter_bytes", page_bytes * (read_counter(vmstat, "nr_memmap_pages") +
						  read_counter(vmstat, "nr_memmap_boot_pages")));
	put("page_table_bytes", page_bytes * read_counter(vmstat, "nr_page_table_pages"));
	put("mem_total_bytes", 1024 * read_counter(meminfo, "MemTotal"));
	put("mem_free_bytes", 1024 * read_counter(meminfo, "MemFree"));
	put("mem_available_bytes", 1024 * read_counter(meminfo, "MemAvailable"));
}

static void put_frames(const struct carveout_census *census)
{
	put("present_bytes", census->present_bytes);
	put("lent_absent_bytes", census->lent_absent_bytes);
	put("hugetlb_unlent_bytes", census->hugetlb_unlent_bytes);
	put("cma_unlent_bytes", census->cma_unlent_bytes);
	put("movable_zone_unlent_bytes", census->movable_zone_unlent_bytes);
}

/* The three sizes follow each other in the order spanned, present, managed. */
static void put_zone_line(const char *line, bool *first)
{
	char name[32];
	unsigned long long pages;

	if (sscanf(line, "Node %*d, zone %31s", name) == 1) {
		printf("%s{\"name\":\"%s\"", *first ? "" : ",", name);
		*first = false;
	} else if (sscanf(line, " spanned %llu", &pages) == 1) {
		printf(",\"spanned_pages\":%llu", pages);
	} else if (sscanf(line, " present %llu", &pages) == 1) {
		printf(",\"present_pages\":%llu", pages);
	} else if (sscanf(line, " managed %llu", &pages) == 1) {
		printf(",\"managed_pages\":%llu}", pages);
	}
}

static void put_zones(void)
{
	char line[256];
	bool first = true;
	FILE *file = fopen("/proc/zoneinfo", "r");

	if (!file)
		die("read /proc/zoneinfo");
	printf("\"zones\":[");
	while (fgets(line, sizeof(line), file))
		put_zone_line(line, &first);
	printf("],");
	fclose(file);
}

static void put_census(const struct carveout_census *census, const char *map)
{
	put("memmap_bytes", census->memmap_bytes);
	put("memmap_lent_bytes", census->memmap_lent_bytes);
	put_counters(census->page_bytes);
	put_frames(census);
	put_zones();
	put("pageblock_bytes", census->pageblock_bytes);
	put("first_pfn", census->first_pfn);
	printf("\"pageblocks\":\"%.*s\"\n", (int)census->map_bytes, map);
}

int run_census(int count, char **arguments)
{
	struct carveout_census census = {};
	struct cost cost;
	char *map;

	if (count < 1)
		return usage("census START:BYTES...");
	parse_ranges(&census.ranges, count, arguments);
	census.map_bytes = ranges_bytes(&census.ranges) / SMALLEST_PAGEBLOCK_BYTES + 1;
	map = malloc(census.map_bytes);
	if (!map)
		die("hold the pageblock map");
	census.map_pointer = (uintptr_t)map;
	cost = device_request(CARVEOUT_IOC_CENSUS, &census);
	if (cost.error)
		return print_cost(&cost);
	put_census(&census, map);
	return DONE;
}
