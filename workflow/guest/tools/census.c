// SPDX-License-Identifier: GPL-2.0-only
/* carveout census: one reading of the host's memory, as members of a JSON object. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define SMALLEST_PAGEBLOCK_BYTES 262144
#define MOST_TRIES 10
#define MOMENT_NS 100000000

static void put(const char *name, uint64_t value)
{
	printf("\"%s\":%llu,", name, (unsigned long long)value);
}

/*
 * The kernel counts per CPU and adds up every second at best, unless this file is written. It
 * clears no counter.
 */
static void refresh_counters(void)
{
	int file = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	if (file < 0 || write(file, "1", 1) != 1)
		die("refresh the kernel's counters");
	close(file);
}

struct vmstat {
	uint64_t memmap_pages;
	uint64_t page_table_pages;
	uint64_t anonymous_huge_pages;
};

static struct vmstat read_vmstat(void)
{
	enum { MEMMAP, BOOT_MEMMAP, PAGE_TABLES, HUGE, COUNTERS };
	struct counter counters[COUNTERS] = {
		[MEMMAP] = { .name = "nr_memmap_pages" },
		[BOOT_MEMMAP] = { .name = "nr_memmap_boot_pages" },
		[PAGE_TABLES] = { .name = "nr_page_table_pages" },
		[HUGE] = { .name = "nr_anon_transparent_hugepages" },
	};

	refresh_counters();
	read_counters("/proc/vmstat", counters, COUNTERS);
	return (struct vmstat){
		.memmap_pages = counters[MEMMAP].value + counters[BOOT_MEMMAP].value,
		.page_table_pages = counters[PAGE_TABLES].value,
		.anonymous_huge_pages = counters[HUGE].value,
	};
}

/* Pages on per-CPU lists are as free as others, but the kernel does not count them so. */
static void put_meminfo(uint64_t waiting_bytes)
{
	enum { TOTAL, FREE, AVAILABLE, COUNTERS };
	struct counter counters[COUNTERS] = {
		[TOTAL] = { .name = "MemTotal" },
		[FREE] = { .name = "MemFree" },
		[AVAILABLE] = { .name = "MemAvailable" },
	};

	read_counters("/proc/meminfo", counters, COUNTERS);
	put("mem_total_bytes", 1024 * counters[TOTAL].value);
	put("mem_free_bytes", 1024 * counters[FREE].value + waiting_bytes);
	put("mem_available_bytes", 1024 * counters[AVAILABLE].value + waiting_bytes);
}

static const char * const account_names[CARVEOUT_ACCOUNTS] = {
	[CARVEOUT_FREE] = "free",
	[CARVEOUT_MOVABLE_ZONE_FREE] = "movable_zone_free",
	[CARVEOUT_CMA_IDLE] = "cma_idle",
	[CARVEOUT_POOL_IDLE] = "pool_idle",
	[CARVEOUT_MOVABLE] = "movable",
	[CARVEOUT_MOVABLE_ZONE_USED] = "movable_zone_used",
	[CARVEOUT_CMA_USED] = "cma_used",
	[CARVEOUT_RECLAIMABLE] = "reclaimable",
	[CARVEOUT_UNMOVABLE] = "unmovable",
	[CARVEOUT_PAGE_TABLES] = "page_tables",
	[CARVEOUT_MEMMAP_HOST] = "memmap_host",
	[CARVEOUT_MEMMAP_SELF] = "memmap_self",
	[CARVEOUT_RESERVED] = "reserved",
	[CARVEOUT_NO_MAP] = "no_map",
	[CARVEOUT_HIDDEN] = "hidden",
	[CARVEOUT_OFFLINE] = "offline",
	[CARVEOUT_MACHINE] = "machine",
	[CARVEOUT_DEVICE_MEMORY] = "device",
	[CARVEOUT_LENT] = "lent",
};

static void put_accounts(const struct carveout_census *census)
{
	size_t i;

	for (i = 0; i < CARVEOUT_ACCOUNTS; i++)
		printf("%s\"%s\":%llu", i ? "," : "\"accounts\":{", account_names[i],
		       (unsigned long long)(census->page_bytes * census->accounts[i]));
	printf("},");
}

static void put_free_blocks(const struct carveout_census *census)
{
	uint32_t order;

	for (order = 0; order < census->orders; order++)
		printf("%s%llu", order ? "," : "\"free_blocks\":[",
		       (unsigned long long)census->free_blocks[order].frames);
	printf("],");
}

static bool agree(const char *what, uint64_t wanted_pages, uint64_t found_pages,
		  uint64_t page_bytes, bool tell)
{
	long long difference = (found_pages - wanted_pages) * page_bytes;

	if (difference && tell)
		printf("%s: wanted %llu pages, found %llu, %lld bytes %s; ", what,
		       (unsigned long long)wanted_pages, (unsigned long long)found_pages,
		       llabs(difference), difference > 0 ? "more" : "less");
	return !difference;
}

/* Of blocks, since a block that is counted under another order changes no sum of pages. */
static bool free_blocks_agree(const struct carveout_census *census, bool tell)
{
	bool all_agree = true;
	uint32_t order;

	for (order = 0; order < census->orders; order++) {
		const struct carveout_count *count = &census->free_blocks[order];

		if (count->frames == count->counter)
			continue;
		all_agree = false;
		if (tell)
			printf("free blocks of order %u: wanted %llu, found %llu; ", order,
			       (unsigned long long)count->counter,
			       (unsigned long long)count->frames);
	}
	return all_agree;
}

/* Says by how much the books are out, if they are. */
static bool books_balance(const struct carveout_census *census, uint64_t ram_bytes, bool tell)
{
	static const char * const checks[CARVEOUT_CHECKS] = {
		[CARVEOUT_CHECK_FREE] = "free",
		[CARVEOUT_CHECK_FREE_CMA] = "free in CMA areas",
		[CARVEOUT_CHECK_WAITING] = "on per-CPU lists",
		[CARVEOUT_CHECK_PAGE_TABLES] = "page tables",
		[CARVEOUT_CHECK_MANAGED] = "managed",
		[CARVEOUT_CHECK_LENT] = "lent",
		[CARVEOUT_CHECK_MEMMAP] = "memmap",
	};
	uint64_t pages = 0;
	bool balance;
	size_t i;

	for (i = 0; i < CARVEOUT_ACCOUNTS; i++)
		pages += census->accounts[i];
	balance = agree("all accounts", ram_bytes / census->page_bytes, pages, census->page_bytes,
			tell);
	for (i = 0; i < CARVEOUT_CHECKS; i++)
		balance &= agree(checks[i], census->checks[i].counter, census->checks[i].frames,
				 census->page_bytes, tell);
	return free_blocks_agree(census, tell) && balance;
}

static void wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = MOMENT_NS };

	nanosleep(&moment, NULL);
}

/*
 * A driver that still removes or adds memory, because it was refused some before, moves frames
 * under the census: then it is taken once more. That it was is told, lest it hide an error.
 */
static struct cost take_census(struct carveout_census *census, uint64_t ram_bytes,
			       struct vmstat *vmstat, int *tries)
{
	struct vmstat before;
	struct cost cost;

	for (*tries = 1;; ++*tries) {
		before = read_vmstat();
		cost = device_request(CARVEOUT_IOC_CENSUS, census);
		*vmstat = read_vmstat();
		if (cost.error || *tries == MOST_TRIES)
			return cost;
		if (before.memmap_pages == vmstat->memmap_pages &&
		    books_balance(census, ram_bytes, false))
			return cost;
		wait_a_moment();
	}
}

/* The sizes of a zone follow its name, in the order spanned, present, managed. */
static void put_zone_line(const char *line, bool *first)
{
	static const char * const sizes[] = { "spanned", "present", "managed" };
	char name[32];
	uint64_t pages;
	size_t i;

	if (*line == 'N' && sscanf(line, "Node %*d, zone %31s", name) == 1) {
		printf("%s{\"name\":\"%s\"", *first ? "" : "},", name);
		*first = false;
	}
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (counter_in_line(line, sizes[i], &pages))
			printf(",\"%s_pages\":%llu", sizes[i], (unsigned long long)pages);
	}
}

/* Returns how many pages wait on the zones' per-CPU lists. */
static uint64_t put_zones(void)
{
	uint64_t pages, waiting_pages = 0;
	char line[256];
	bool first = true;
	FILE *file = fopen("/proc/zoneinfo", "r");

	if (!file)
		die("read /proc/zoneinfo");
	printf("\"zones\":[");
	while (fgets(line, sizeof(line), file)) {
		put_zone_line(line, &first);
		if (counter_in_line(line, "count", &pages))
			waiting_pages += pages;
	}
	printf("}],");
	fclose(file);
	return waiting_pages;
}

static void put_census(const struct carveout_census *census, const struct vmstat *vmstat,
		       const char *map)
{
	put("memmap_bytes", census->memmap_bytes);
	put("memmap_lent_bytes", census->memmap_lent_bytes);
	put("memmap_counter_bytes", census->page_bytes * vmstat->memmap_pages);
	put("struct_page_bytes", census->struct_page_bytes);
	put("linear_map_table_bytes", census->page_bytes * census->linear_map_table_pages);
	put("page_table_bytes", census->page_bytes * vmstat->page_table_pages);
	put("anonymous_huge_pages", vmstat->anonymous_huge_pages);
	put_meminfo(census->page_bytes * put_zones());
	put_accounts(census);
	put_free_blocks(census);
	put("blocked_pageblocks", census->blocked_pageblocks);
	put("pageblock_bytes", census->pageblock_bytes);
	put("first_pfn", census->first_pfn);
	printf("\"pageblocks\":\"%.*s\"\n", (int)census->map_bytes, map);
}

int run_census(int count, char **arguments)
{
	struct carveout_census census = {};
	struct vmstat vmstat;
	uint64_t ram_bytes;
	struct cost cost;
	char *map;
	int tries;

	if (count < 2)
		return usage("census RAM_BYTES START:BYTES...");
	ram_bytes = parse_number("RAM_BYTES", arguments[0]);
	parse_ranges(&census.ranges, count - 1, arguments + 1);
	census.map_bytes = ranges_bytes(&census.ranges) / SMALLEST_PAGEBLOCK_BYTES + 1;
	/* All there before: a census must not fault pages in while it counts them. */
	map = malloc(census.map_bytes);
	if (!map || mlock(map, census.map_bytes))
		die("hold the pageblock map");
	census.map_pointer = (uintptr_t)map;
	cost = take_census(&census, ram_bytes, &vmstat, &tries);
	if (cost.error)
		return print_cost(&cost);
	if (!books_balance(&census, ram_bytes, true))
		return REFUSED;
	put("tries", tries);
	put_census(&census, &vmstat, map);
	return DONE;
}
