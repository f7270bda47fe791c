// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts page frames by what /proc/kpageflags says of them, and pageblocks in which the kernel has
 * frames of its own:
 *
 *   count_frames PAGES_PER_BLOCK
 *
 * Prints one line of name=value. It shares no code with any load, nor with the kernel module.
 * Frames that wait on per-CPU lists have no flag, as most of the kernel's own have none: how many
 * wait is read from /proc/zoneinfo.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BIT(n) (1ULL << (n))

/* Documentation/admin-guide/mm/pagemap.rst */
#define UPTODATE BIT(3)
#define LRU BIT(5)
#define SLAB BIT(7)
#define BUDDY BIT(10)
#define ANON BIT(12)
#define SWAPBACKED BIT(14)
#define NOPAGE BIT(20)
#define OFFLINE BIT(23)
#define PGTABLE BIT(26)

enum kind { NONE, IS_FREE, IS_TABLE, IS_SLAB, IS_ANONYMOUS, IS_SHARED, IS_FILE, IS_KERNEL, KINDS };
static const char * const names[] = {
	"none", "free", "table", "slab", "anonymous", "shared", "file", "kernel",
};

static enum kind kind_of(uint64_t flags)
{
	if (flags & (NOPAGE | OFFLINE))
		return NONE;
	if (flags & BUDDY)
		return IS_FREE;
	if (flags & PGTABLE)
		return IS_TABLE;
	if (flags & SLAB)
		return IS_SLAB;
	if (flags & ANON)
		return IS_ANONYMOUS;
	if (flags & SWAPBACKED)
		return IS_SHARED;
	return flags & (LRU | UPTODATE) ? IS_FILE : IS_KERNEL;
}

static unsigned long waiting_frames(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	unsigned long frames, sum = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " count: %lu", &frames) == 1)
			sum += frames;
	}
	if (file)
		fclose(file);
	return sum;
}

int main(int argc, char **argv)
{
	long block_frames = argc == 2 ? atol(argv[1]) : 0;
	int file = open("/proc/kpageflags", O_RDONLY);
	size_t bytes = block_frames * sizeof(uint64_t);
	unsigned long frames[KINDS] = {}, kernel_blocks = 0;
	uint64_t *flags = malloc(bytes);

	if (block_frames <= 0 || file < 0 || !flags)
		return 1;
	while (read(file, flags, bytes) == (ssize_t)bytes) {
		int has_kernel = 0;

		for (long i = 0; i < block_frames; i++) {
			enum kind kind = kind_of(flags[i]);

			frames[kind]++;
			has_kernel |= kind == IS_TABLE || kind == IS_SLAB || kind == IS_KERNEL;
		}
		kernel_blocks += has_kernel;
	}
	for (int i = 0; i < KINDS; i++)
		printf("%s=%lu ", names[i], frames[i]);
	printf("waiting=%lu kernel_blocks=%lu\n", waiting_frames(), kernel_blocks);
	return 0;
}
