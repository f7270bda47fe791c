// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pageblock map from /proc/kpageflags, which shares no code with the kernel module.
 *
 * usage: own_map FIRST_PFN PAGEBLOCKS PAGES_PER_BLOCK
 *
 * One letter a pageblock: A absent, F free, X reserved and free pages only, U holds a page that
 * the flags show to be the kernel's own (slab, page table), M all pages in use are on an LRU list,
 * anonymous or huge, z pages without any flag beside free ones: a kernel page, or one on a per-CPU
 * free list. CMA cannot be seen here.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BIT(n) (1ULL << (n))

/* Documentation/admin-guide/mm/pagemap.rst */
#define LRU BIT(5)
#define SLAB BIT(7)
#define BUDDY BIT(10)
#define MMAP BIT(11)
#define ANON BIT(12)
#define HUGE BIT(17)
#define NOPAGE BIT(20)
#define OFFLINE BIT(23)
#define PGTABLE BIT(26)
#define RESERVED BIT(32)

static char letter_of(const uint64_t *flags, long pages)
{
	long absent = 0, empty = 0, reserved = 0, kernel = 0, user = 0, bare = 0;

	for (long i = 0; i < pages; i++) {
		if (flags[i] & (NOPAGE | OFFLINE))
			absent++;
		else if (flags[i] & BUDDY)
			empty++;
		else if (flags[i] & RESERVED)
			reserved++;
		else if (flags[i] & (SLAB | PGTABLE))
			kernel++;
		else if (flags[i] & (LRU | MMAP | ANON | HUGE))
			user++;
		else
			bare++;
	}
	if (absent == pages)
		return 'A';
	if (empty == pages)
		return 'F';
	if (kernel)
		return 'U';
	if (bare)
		return 'z';
	if (reserved && !user)
		return 'X';
	return reserved ? 'U' : 'M';
}

int main(int argc, char **argv)
{
	int file = open("/proc/kpageflags", O_RDONLY);
	long blocks, pages;
	uint64_t first, *flags;

	if (argc != 4 || file < 0)
		return 1;
	first = strtoull(argv[1], NULL, 0);
	blocks = atol(argv[2]);
	pages = atol(argv[3]);
	flags = calloc(pages, sizeof(*flags));
	if (!flags)
		return 1;
	printf("own_map: ");
	for (long i = 0; i < blocks; i++) {
		size_t bytes = pages * sizeof(*flags);
		off_t offset = (first + i * pages) * sizeof(*flags);

		if (pread(file, flags, bytes, offset) != (ssize_t)bytes)
			return 1;
		putchar(letter_of(flags, pages));
	}
	putchar('\n');
	return 0;
}
