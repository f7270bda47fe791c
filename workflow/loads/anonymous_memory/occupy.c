// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES of anonymous memory as a process that has lived:
 *
 *   occupy BYTES SEED
 *
 * It first touches a quarter more than it shall hold, in seeded order, then drops
 * random chunks until BYTES remain, so that what it holds has holes. It prints
 * held_bytes=, as the kernel counts them, and sleeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seeded.h"

#define STRIPE_BYTES (4ul << 20)

static size_t page_bytes;

static void touch(char *start, size_t bytes)
{
	for (size_t offset = 0; offset < bytes; offset += page_bytes)
		__atomic_store_n(start + offset, 1, __ATOMIC_RELAXED);
}

static void touch_in_seeded_order(struct seeded *seeded, char *start, size_t bytes)
{
	size_t nr = (bytes + STRIPE_BYTES - 1) / STRIPE_BYTES;
	size_t *stripes = calloc(nr, sizeof(*stripes));

	for (size_t i = 0; i < nr; i++)
		stripes[i] = i;
	seeded_shuffle(seeded, stripes, nr);
	for (size_t i = 0; i < nr; i++) {
		size_t offset = stripes[i] * STRIPE_BYTES;
		size_t left = bytes - offset;

		touch(start + offset, left < STRIPE_BYTES ? left : STRIPE_BYTES);
	}
	free(stripes);
}

static void drop_random_chunks(struct seeded *seeded, char *start, size_t nr_pages, size_t wanted)
{
	char *dropped = calloc(nr_pages, 1);

	while (wanted) {
		struct seeded_chunk chunk = seeded_take_chunk(seeded, dropped, nr_pages, wanted);

		madvise(start + chunk.first * page_bytes, chunk.nr * page_bytes, MADV_DONTNEED);
		wanted -= chunk.nr;
	}
	free(dropped);
}

/* VmRSS is only approximate, since the kernel counts it per CPU. */
static unsigned long held_bytes(void)
{
	FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
	unsigned long held_kib = 0;
	char line[256];

	while (rollup && fgets(line, sizeof(line), rollup)) {
		if (sscanf(line, "Anonymous: %lu", &held_kib) == 1)
			break;
	}
	return held_kib * 1024;
}

int main(int argc, char **argv)
{
	struct seeded seeded;
	size_t held_pages, peak_pages;
	char *start;

	if (argc != 3) {
		fputs("usage: occupy BYTES SEED\n", stderr);
		return 2;
	}
	page_bytes = sysconf(_SC_PAGESIZE);
	held_pages = strtoull(argv[1], NULL, 10) / page_bytes;
	peak_pages = held_pages + held_pages / 4;
	seeded.state = strtoull(argv[2], NULL, 10);
	start = mmap(NULL, (peak_pages + 1) * page_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED) {
		perror("occupy: mmap");
		return 1;
	}
	touch_in_seeded_order(&seeded, start, peak_pages * page_bytes);
	drop_random_chunks(&seeded, start, peak_pages, peak_pages - held_pages);
	printf("held_bytes=%lu\n", held_bytes());
	fclose(stdout);
	pause();
	return 0;
}
