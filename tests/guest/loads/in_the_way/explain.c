// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the tool name what is in the way of each pageblock, and says what the kernel's own flags say:
 *
 *   explain RAM_START RAM_BYTES PAGEBLOCK_BYTES
 *
 * A line a pageblock, "in the way of BLOCK: TYPE PFN FLAGS WORDS OWNER; CERTAIN": FLAGS are those of
 * the frame that the tool names, in /proc/kpageflags, which this reads by itself; WORDS are the
 * tool's own; CERTAIN is the first frame in the pageblock of which the kernel's flags alone say that
 * it cannot move, or 0.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define SLAB (1ULL << 7)
#define NOPAGE (1ULL << 20)
#define PGTABLE (1ULL << 26)
#define RESERVED (1ULL << 32)
#define MOST_FRAMES 65536

static uint64_t flags[MOST_FRAMES];
static int kpageflags;

static int read_flags(uint64_t first, uint64_t frames)
{
	size_t length = frames * sizeof(*flags);

	return pread(kpageflags, flags, length, first * sizeof(*flags)) == (ssize_t)length ? 0 : -1;
}

static uint64_t first_certain(uint64_t first, uint64_t frames)
{
	for (uint64_t i = 0; i < frames; i++) {
		if (flags[i] & (SLAB | NOPAGE | PGTABLE | RESERVED))
			return first + i;
	}
	return 0;
}

struct named {
	unsigned long long pfn;
	char type[16];
	char flags[112];
	char owner[160];
};

static int ask_tool(uint64_t start, uint64_t bytes, struct named *named)
{
	char command[256], line[256];
	FILE *answer;

	memset(named, 0, sizeof(*named));
	snprintf(command, sizeof(command), "carveout blocker %llu %llu any 0x%llx:%llu",
		 (unsigned long long)bytes, (unsigned long long)bytes, (unsigned long long)start,
		 (unsigned long long)bytes);
	answer = popen(command, "r");
	if (!answer)
		return -1;
	while (fgets(line, sizeof(line), answer)) {
		sscanf(line, "blocker_pfn=%llu", &named->pfn);
		sscanf(line, "blocker_type=%15s", named->type);
		sscanf(line, "blocker_flags=%111s", named->flags);
		sscanf(line, "blocker_owner=%159s", named->owner);
	}
	return pclose(answer);
}

int main(int argc, char **argv)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE), start, bytes, block_bytes;
	struct named named;

	if (argc != 4)
		return 2;
	start = strtoull(argv[1], NULL, 0);
	bytes = strtoull(argv[2], NULL, 0);
	block_bytes = strtoull(argv[3], NULL, 0);
	kpageflags = open("/proc/kpageflags", O_RDONLY);
	if (kpageflags < 0 || block_bytes / page_bytes > MOST_FRAMES)
		return 1;
	for (uint64_t at = start; at < start + bytes; at += block_bytes) {
		uint64_t first = at / page_bytes, frames = block_bytes / page_bytes;

		if (ask_tool(at, block_bytes, &named) || read_flags(first, frames))
			return 1;
		printf("in the way of %llu: %s %llu %llx %s %s; %llu\n", (unsigned long long)first,
		       named.pfn ? named.type : "nothing", named.pfn,
		       (unsigned long long)(named.pfn ? flags[named.pfn - first] : 0),
		       *named.flags ? named.flags : "-", *named.owner ? named.owner : "-",
		       (unsigned long long)first_certain(first, frames));
	}
	return 0;
}
