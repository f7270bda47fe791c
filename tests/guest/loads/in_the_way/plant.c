// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spreads pages that cannot move among pages that can:
 *
 *   plant FOLDER
 *
 * Movable memory is touched in stripes, and between any two of them something of each kind: a pinned
 * page, a locked page, one that is both, page tables and files without content. A huge page of 32 MiB is
 * mapped. Half of the stripes are freed again, so that many pageblocks hold little else.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker.h"

#define NR 64
#define STRIPE_BYTES (4ul << 20)
#define HUGE_BYTES (32ul << 20)
#define FILES 96
#define TABLES 64
#define HUGE_SHIFT 26

static size_t page_bytes;

static char *touch(size_t bytes)
{
	char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || madvise(start, bytes, MADV_NOHUGEPAGE) ||
	    madvise(start, bytes, MADV_POPULATE_WRITE))
		return NULL;
	return start;
}

/* A pipe holds a reference that no page table has. */
static int pin(char *page)
{
	struct iovec part = { .iov_base = page, .iov_len = page_bytes };
	int ends[2];

	return pipe(ends) || vmsplice(ends[1], &part, 1, 0) != (ssize_t)page_bytes;
}

/* What is touched first often lies first in its pageblock: by turns another kind of page. */
static int plant_pages(int number)
{
	char *first = touch(page_bytes), *locked = touch(page_bytes), *last = touch(page_bytes);
	char *both = number % 2 ? first : last;

	return !first || !locked || !last || pin(first) || mlock(locked, page_bytes) ||
	       mlock(both, page_bytes) || pin(last);
}

static int plant_tables(void)
{
	size_t range_bytes = page_bytes * page_bytes / sizeof(uint64_t);
	char *start = mmap(NULL, (TABLES + 1) * range_bytes, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED || madvise(start, (TABLES + 1) * range_bytes, MADV_NOHUGEPAGE))
		return -1;
	for (int i = 0; i < TABLES; i++)
		__atomic_load_n(start + i * range_bytes, __ATOMIC_RELAXED);
	return 0;
}

static int plant_files(const char *folder, int number)
{
	char path[256];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%d-%d", folder, number, i);
		if (mknod(path, S_IFREG | 0600, 0))
			return -1;
	}
	return 0;
}

static int map_huge(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		    (__builtin_ctzl(HUGE_BYTES) << HUGE_SHIFT);
	char *start = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	return start == MAP_FAILED || madvise(start, HUGE_BYTES, MADV_POPULATE_WRITE);
}

int main(int argc, char **argv)
{
	char *stripes[NR];

	page_bytes = sysconf(_SC_PAGESIZE);
	if (argc != 2 || map_huge()) {
		perror("plant: a huge page");
		return 1;
	}
	for (int i = 0; i < NR; i++) {
		stripes[i] = touch(STRIPE_BYTES);
		if (!stripes[i] || plant_pages(i) || plant_tables() || plant_files(argv[1], i)) {
			perror("plant");
			return 1;
		}
	}
	for (int i = 0; i < NR; i += 2)
		munmap(stripes[i], STRIPE_BYTES);
	worker_hold(0);
}
