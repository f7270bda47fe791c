// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES of page tables:
 *
 *   map_sparsely BYTES SEED
 *
 * It reads one page of each range that a last-level table maps, which the kernel answers with the
 * page of zeroes: the table is all that it takes. A quarter more ranges than shall remain are read
 * in seeded order; then random ones are unmapped. Meanwhile it notes in /run/reached how much it
 * holds. It prints held_bytes=, as the kernel counts its page tables, and sleeps.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#define NOTE_TABLES 256

static size_t page_bytes, range_bytes;

/* At a multiple of what a table maps. */
static char *reserve(size_t nr)
{
	char *mapped = mmap(NULL, (nr + 1) * range_bytes, PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED || madvise(mapped, (nr + 1) * range_bytes, MADV_NOHUGEPAGE))
		return NULL;
	return mapped + -(uintptr_t)mapped % range_bytes;
}

static int read_in_seeded_order(char *start, size_t *ranges, size_t nr, struct seeded *seeded)
{
	int reached = worker_open_note();
	int error = reached < 0 ? -1 : 0;

	for (size_t i = 0; i < nr; i++)
		ranges[i] = i;
	seeded_shuffle(seeded, ranges, nr);
	for (size_t i = 0; i < nr && !error; i++) {
		__atomic_load_n(start + ranges[i] * range_bytes, __ATOMIC_RELAXED);
		if (i % NOTE_TABLES == 0)
			error = worker_note(reached, i * page_bytes);
	}
	return error;
}

/* Those that came last in another seeded order. */
static int unmap_random(char *start, size_t *ranges, size_t nr, size_t kept, struct seeded *seeded)
{
	seeded_shuffle(seeded, ranges, nr);
	for (size_t i = kept; i < nr; i++) {
		if (munmap(start + ranges[i] * range_bytes, range_bytes))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	size_t kept, nr, *ranges;
	struct seeded seeded;
	char *start;

	if (argc != 3) {
		fputs("usage: map_sparsely BYTES SEED\n", stderr);
		return 2;
	}
	page_bytes = sysconf(_SC_PAGESIZE);
	range_bytes = page_bytes * page_bytes / sizeof(uint64_t);
	kept = strtoull(argv[1], NULL, 10) / page_bytes;
	seeded.state = strtoull(argv[2], NULL, 10);
	nr = kept + kept / 4;
	ranges = calloc(nr + 1, sizeof(*ranges));
	start = reserve(nr);
	if (!ranges || !start || read_in_seeded_order(start, ranges, nr, &seeded) ||
	    unmap_random(start, ranges, nr, kept, &seeded)) {
		perror("map_sparsely");
		return 1;
	}
	free(ranges);
	worker_hold(worker_kernel_bytes("/proc/self/status", "VmPTE"));
}
