// SPDX-License-Identifier: GPL-2.0-only
/*
 * An exhaustive reuse probe that shares no code with the kernel module. Fills memory, down to the
 * zones' watermarks, with pages that can move (of a process), then with pages that cannot (ring
 * buffers of perf events), and looks each of them up in /proc/self/pagemap.
 *
 * usage: fill_memory START:BYTES...
 *
 * Prints how many bytes of the ranges were among either, and how much memory was left free.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define MARGIN_BYTES MIB	/* for what others allocate meanwhile, page tables among it */
#define PRESENT (1ULL << 63)
#define FRAME ((1ULL << 55) - 1)
#define MOST_RANGES 256

static struct {
	uint64_t start, end;
} ranges[MOST_RANGES];
static int nr_ranges, pagemap;
static size_t page_bytes;

struct zones {
	int64_t left;	/* what may be taken before the allocator would have to reclaim, in bytes */
	int64_t kept;	/* what it keeps then */
};

struct zone {
	bool usable;
	int64_t free, min, protection, cma;	/* pages */
};

static void add_zone(struct zones *zones, const struct zone *zone, bool movable)
{
	int64_t kept = zone->min + zone->protection, left;

	left = zone->free - kept - (movable ? 0 : zone->cma);
	if (!zone->usable)
		return;
	zones->kept += kept * (int64_t)page_bytes;
	if (left > 0)
		zones->left += left * (int64_t)page_bytes;
}

/* The last number of "protection: (0, 0, 992, 992)" is what the highest allocations leave. */
static struct zones read_zones(bool movable)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	struct zones zones = {};
	struct zone zone = {};
	char line[256], name[32];

	while (file && fgets(line, sizeof(line), file)) {
		char *last = strrchr(line, ',');
		long long pages;

		if (sscanf(line, "Node %*d, zone %31s", name) == 1) {
			add_zone(&zones, &zone, movable);
			zone = (struct zone){ .usable = movable || strcmp(name, "Movable") };
		} else if (sscanf(line, " pages free %lld", &pages) == 1) {
			zone.free = pages;
		} else if (sscanf(line, " min %lld", &pages) == 1) {
			zone.min = pages;
		} else if (sscanf(line, " nr_free_cma %lld", &pages) == 1) {
			zone.cma = pages;
		} else if (strstr(line, "protection:") && last) {
			zone.protection = atoll(last + 1);
		}
	}
	add_zone(&zones, &zone, movable);
	fclose(file);
	return zones;
}

static bool asked(uint64_t address)
{
	for (int i = 0; i < nr_ranges; i++) {
		if (address >= ranges[i].start && address < ranges[i].end)
			return true;
	}
	return false;
}

static uint64_t asked_bytes(char *memory, size_t bytes)
{
	uint64_t entries[512], found = 0;

	for (size_t done = 0; done < bytes; done += sizeof(entries) / 8 * page_bytes) {
		size_t nr = (bytes - done) / page_bytes;

		nr = nr < 512 ? nr : 512;
		if (pread(pagemap, entries, nr * 8, (uintptr_t)(memory + done) / page_bytes * 8) !=
		    (ssize_t)(nr * 8))
			exit(1);
		for (size_t i = 0; i < nr; i++) {
			if (entries[i] & PRESENT && asked((entries[i] & FRAME) * page_bytes))
				found += page_bytes;
		}
	}
	return found;
}

/* Large steps first; the last ones are small, to come close to the watermarks. */
static size_t step_bytes(bool movable)
{
	int64_t left = read_zones(movable).left - (int64_t)MARGIN_BYTES;

	if (left >= (int64_t)(8 * MIB))
		return 2 * MIB;
	return left >= (int64_t)(16 * page_bytes) ? 16 * page_bytes : 0;
}

/*
 * Page tables cannot move: they are there before memory gets short, by reading the zero page. Then
 * nothing but pages of the process is allocated.
 */
static uint64_t fill_movable(void)
{
	size_t room = (size_t)sysconf(_SC_PHYS_PAGES) * page_bytes, used = 0, step;
	volatile char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || madvise((void *)memory, room, MADV_NOHUGEPAGE))
		exit(1);
	for (size_t i = 0; i < room; i += page_bytes)
		(void)memory[i];
	while ((step = step_bytes(true)) && used + step <= room) {
		for (size_t i = 0; i < step; i += page_bytes)
			memory[used + i] = 1;
		used += step;
	}
	return asked_bytes((char *)memory, used);
}

/* The kernel allocates the buffer page by page, and maps a page of its own before it. */
static char *map_ring(size_t bytes)
{
	struct perf_event_attr event = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(event),
		.config = PERF_COUNT_SW_DUMMY,
	};
	int file = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	char *memory;

	if (file < 0)
		return NULL;
	memory = mmap(NULL, page_bytes + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t fill_unmovable(void)
{
	volatile char touched;
	uint64_t found = 0;
	size_t step;

	while ((step = step_bytes(false))) {
		char *memory = map_ring(step);

		if (!memory)
			exit(1);
		for (size_t i = 0; i < page_bytes + step; i += page_bytes)
			touched = memory[i];
		found += asked_bytes(memory, page_bytes + step);
	}
	(void)touched;
	return found;
}

/* The kernel frees ring buffers a while after their process has ended. */
static void wait_for(int64_t left)
{
	for (int try = 0; try < 500 && read_zones(true).left < left - (int64_t)(4 * MIB); try++)
		usleep(10000);
}

static void fill(const char *kind, uint64_t (*fill_one)(void))
{
	int64_t left = read_zones(true).left;
	int status, child = fork();

	if (!child) {
		uint64_t found;

		pagemap = open("/proc/self/pagemap", O_RDONLY);
		found = fill_one();
		printf("fill_memory: %s %llu bytes, kept %lld bytes\n", kind,
		       (unsigned long long)found, (long long)read_zones(true).kept);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		exit(1);
	wait_for(left);
}

int main(int argc, char **argv)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	for (nr_ranges = 0; nr_ranges < argc - 1 && nr_ranges < MOST_RANGES; nr_ranges++) {
		char *rest;

		ranges[nr_ranges].start = strtoull(argv[nr_ranges + 1], &rest, 0);
		ranges[nr_ranges].end = ranges[nr_ranges].start + strtoull(rest + 1, NULL, 0);
	}
	fill("movable", fill_movable);
	fill("unmovable", fill_unmovable);
	return 0;
}
