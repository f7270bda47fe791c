/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Seeded choices for loads: the same seed always takes the same path, on every
 * machine. The generator is splitmix64.
 */
#ifndef SEEDED_H
#define SEEDED_H

#include <linux/types.h>
#include <stddef.h>

struct seeded {
	__u64 state;
};

/* Pages [first, first + nr) of a larger range. */
struct seeded_chunk {
	size_t first;
	size_t nr;
};

static inline __u64 seeded_next(struct seeded *seeded)
{
	__u64 value = seeded->state += 0x9e3779b97f4a7c15ull;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
	return value ^ (value >> 31);
}

static inline size_t seeded_below(struct seeded *seeded, size_t limit)
{
	return seeded_next(seeded) % limit;
}

/*
 * A random naturally aligned chunk, of one page to largest_pages, a power of two, all
 * orders as often, of a range of nr_pages: as much of its start as is not taken yet,
 * at most most_pages, now taken. It may be empty: call again.
 */
static inline struct seeded_chunk seeded_take_chunk(struct seeded *seeded, char *taken,
						    size_t largest_pages, size_t nr_pages,
						    size_t most_pages)
{
	size_t order = seeded_below(seeded, __builtin_ctzl(largest_pages) + 1);
	size_t first = seeded_below(seeded, nr_pages) >> order << order;
	size_t nr = 0;

	while (nr < (size_t)1 << order && nr < most_pages && first + nr < nr_pages &&
	       !taken[first + nr])
		taken[first + nr++] = 1;
	return (struct seeded_chunk){ .first = first, .nr = nr };
}

/* Fisher and Yates */
static inline void seeded_shuffle(struct seeded *seeded, size_t *values, size_t nr)
{
	while (nr > 1) {
		size_t other = seeded_below(seeded, nr--);
		size_t kept = values[nr];

		values[nr] = values[other];
		values[other] = kept;
	}
}

#endif
