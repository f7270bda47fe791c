// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES of anonymous memory as a process that has lived:
 *
 *   occupy BYTES SEED huge|ordinary
 *
 * In all it touches a quarter more than it shall hold, stripe after stripe in seeded order.
 * Whenever it holds SPARE_BYTES more than it shall, or would with the next stripe where that is
 * larger, and at the end, it drops random chunks of what it has touched, so that its memory has
 * holes. Meanwhile it notes in /run/reached how much it holds. It prints held_bytes=, as the kernel
 * counts them, and sleeps; or it goes on when it is told to: in each step it drops a chunk, and
 * touches what it dropped before until it holds as much again. The kernel gives it transparent huge
 * pages unless it is "ordinary".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

#define LEAST_STRIPE_BYTES (4ul << 20)
#define SPARE_BYTES (16ul << 20)
#define HUGE_PAGE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static size_t page_bytes;
static size_t stripe_bytes;

struct area {
	char *start;
	size_t nr_pages;
	size_t nr_held;		/* pages */
	size_t stripe_pages;
	size_t *stripes;	/* in the order in which they are touched */
	size_t nr_stripes;
	size_t nr_touched;	/* stripes */
	char *dropped;		/* whether it is, of each page */
};

static char *address(const struct area *area, size_t page)
{
	return area->start + page * page_bytes;
}

static size_t first_page(const struct area *area, size_t stripe)
{
	return stripe * area->stripe_pages;
}

/* The last stripe may be a short one. */
static size_t pages_of(const struct area *area, size_t stripe)
{
	size_t left = area->nr_pages - first_page(area, stripe);

	return left < area->stripe_pages ? left : area->stripe_pages;
}

static void touch_next_stripe(struct area *area)
{
	size_t stripe = area->stripes[area->nr_touched++];
	size_t nr = pages_of(area, stripe);

	for (size_t i = 0; i < nr; i++)
		__atomic_store_n(address(area, first_page(area, stripe) + i), 1, __ATOMIC_RELAXED);
	area->nr_held += nr;
}

/* Returns the stripe. The chunk may be empty. */
static size_t drop_random_chunk(struct area *area, struct seeded *seeded, size_t most_pages)
{
	size_t stripe = area->stripes[seeded_below(seeded, area->nr_touched)];
	size_t first = first_page(area, stripe);
	struct seeded_chunk chunk = seeded_take_chunk(seeded, area->dropped + first,
						      area->stripe_pages, pages_of(area, stripe),
						      most_pages);

	madvise(address(area, first + chunk.first), chunk.nr * page_bytes, MADV_DONTNEED);
	area->nr_held -= chunk.nr;
	return stripe;
}

/*
 * What is dropped of a transparent huge page stays allocated until the kernel splits the page,
 * which it puts off until memory is short. MADV_COLD splits what is mapped in part at once, and
 * leaves whole huge pages whole.
 */
static void drop_random_chunks(struct area *area, struct seeded *seeded, size_t held_pages)
{
	while (area->nr_held > held_pages)
		drop_random_chunk(area, seeded, area->nr_held - held_pages);
	madvise(area->start, area->nr_pages * page_bytes, MADV_COLD);
}

/* A stripe as large as a huge page of larger pages is no small excess: its room comes first. */
static void make_room(struct area *area, struct seeded *seeded, size_t most_pages)
{
	size_t next_pages = pages_of(area, area->stripes[area->nr_touched]);
	size_t left_pages = most_pages > next_pages ? most_pages - next_pages : 0;

	if (next_pages > SPARE_BYTES / page_bytes && area->nr_held > left_pages)
		drop_random_chunks(area, seeded, left_pages);
}

static void live(struct area *area, struct seeded *seeded, size_t held_pages)
{
	size_t most_pages = held_pages + SPARE_BYTES / page_bytes;
	int reached = worker_open_note();

	seeded_shuffle(seeded, area->stripes, area->nr_stripes);
	while (area->nr_touched < area->nr_stripes) {
		make_room(area, seeded, most_pages);
		touch_next_stripe(area);
		if (worker_note(reached, area->nr_held * page_bytes))
			perror("occupy: /run/reached");
		if (area->nr_held >= most_pages)
			drop_random_chunks(area, seeded, held_pages);
	}
	drop_random_chunks(area, seeded, held_pages);
	close(reached);
}

/* A huge page must not bring memory of another stripe that is not its turn yet. */
static size_t find_stripe_bytes(void)
{
	FILE *file = fopen(HUGE_PAGE_FILE, "r");
	size_t huge_page_bytes = 0;

	if (file && fscanf(file, "%zu", &huge_page_bytes) != 1)
		huge_page_bytes = 0;
	if (file)
		fclose(file);
	return huge_page_bytes > LEAST_STRIPE_BYTES ? huge_page_bytes : LEAST_STRIPE_BYTES;
}

/* At a multiple of a stripe, and nothing around it: no huge page reaches beyond the area. */
static char *map_aligned(size_t bytes)
{
	char *mapped = mmap(NULL, bytes + stripe_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before = -(uintptr_t)mapped % stripe_bytes;

	if (mapped == MAP_FAILED)
		return NULL;
	if (before)
		munmap(mapped, before);
	munmap(mapped + before + bytes, stripe_bytes - before);
	return mapped + before;
}

static int make_area(struct area *area, size_t nr_pages, bool huge)
{
	area->nr_pages = nr_pages;
	area->stripe_pages = stripe_bytes / page_bytes;
	area->nr_stripes = (nr_pages + area->stripe_pages - 1) / area->stripe_pages;
	area->stripes = calloc(area->nr_stripes, sizeof(*area->stripes));
	area->dropped = calloc(nr_pages, 1);
	area->start = map_aligned(nr_pages * page_bytes);
	if (!area->stripes || !area->dropped || !area->start)
		return -1;
	for (size_t i = 0; i < area->nr_stripes; i++)
		area->stripes[i] = i;
	return huge ? 0 : madvise(area->start, nr_pages * page_bytes, MADV_NOHUGEPAGE);
}

struct life {
	struct area area;
	struct seeded seeded;
	size_t held_pages;	/* what it shall hold */
};

static void touch(struct area *area, size_t page)
{
	__atomic_store_n(address(area, page), 1, __ATOMIC_RELAXED);
	area->dropped[page] = 0;
	area->nr_held++;
}

/*
 * Where a whole huge page had been dropped, one touch brings all of it: what came along is held
 * too. It is touched as well, since of pages that nobody wrote to the kernel frees those that are
 * all zeros when it splits the huge page (try_to_map_unused_to_zeropage() in mm/migrate.c).
 */
static int touch_what_came_along(struct area *area, size_t stripe)
{
	unsigned char present[area->stripe_pages];
	size_t first = first_page(area, stripe), nr = pages_of(area, stripe);

	if (mincore(address(area, first), nr * page_bytes, present))
		return -1;
	for (size_t i = 0; i < nr; i++) {
		if (area->dropped[first + i] && present[i] & 1)
			touch(area, first + i);
	}
	return 0;
}

static int touch_dropped(struct area *area, struct seeded *seeded, size_t held_pages)
{
	size_t page = seeded_below(seeded, area->nr_pages);
	size_t stripe = page / area->stripe_pages;

	while (area->nr_held < held_pages) {
		if (area->dropped[page])
			touch(area, page);
		page = (page + 1) % area->nr_pages;
		if (page / area->stripe_pages == stripe && area->nr_held < held_pages)
			continue;
		if (touch_what_came_along(area, stripe))
			return -1;
		stripe = page / area->stripe_pages;
	}
	return 0;
}

static int live_on(void *data)
{
	struct life *life = data;
	struct area *area = &life->area;
	size_t stripe;

	if (!life->held_pages)
		return 0;
	stripe = drop_random_chunk(area, &life->seeded, area->stripe_pages);
	madvise(address(area, first_page(area, stripe)), pages_of(area, stripe) * page_bytes,
		MADV_COLD);
	return touch_dropped(area, &life->seeded, life->held_pages);
}

int main(int argc, char **argv)
{
	static struct life life;
	size_t held_pages;
	bool huge;

	if (argc != 4) {
		fputs("usage: occupy BYTES SEED huge|ordinary\n", stderr);
		return 2;
	}
	page_bytes = sysconf(_SC_PAGESIZE);
	stripe_bytes = find_stripe_bytes();
	held_pages = strtoull(argv[1], NULL, 10) / page_bytes;
	life.seeded.state = strtoull(argv[2], NULL, 10);
	huge = strcmp(argv[3], "ordinary");
	if (make_area(&life.area, held_pages + held_pages / 4, huge)) {
		perror("occupy: memory");
		return 1;
	}
	live(&life.area, &life.seeded, held_pages);
	life.held_pages = life.area.nr_held;
	/* VmRSS is only approximate, since the kernel counts it per CPU. */
	worker_serve(worker_kernel_bytes("/proc/self/smaps_rollup", "Anonymous"), live_on, &life);
}
