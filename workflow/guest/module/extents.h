/* SPDX-License-Identifier: GPL-2.0-only */
/* Lists of runs of frames, counted in base pages (pfn, pages). */
#ifndef CARVEOUT_EXTENTS_H
#define CARVEOUT_EXTENTS_H

#include <linux/types.h>

#include "carveout_uapi.h"

struct extent {
	unsigned long pfn;
	unsigned long pages;
};

struct extents {
	struct extent *list;
	unsigned long count;
	unsigned long capacity;
};

int extents_append(struct extents *extents, unsigned long pfn, unsigned long pages);
int extents_append_all(struct extents *extents, const struct extents *other);
int extents_append_without(struct extents *extents, const struct extent *run,
			   const struct extents *sorted);
int extents_append_all_without(struct extents *extents, const struct extents *others,
			       const struct extents *sorted);
void extents_sort_and_merge(struct extents *extents);
unsigned long extents_unite(struct extents *sorted);
unsigned long extents_pages(const struct extents *extents);
unsigned long extents_pages_within(const struct extents *sorted, unsigned long pfn,
				   unsigned long pages);
unsigned long extents_stretch(const struct extents *sorted, unsigned long pfn, unsigned long pages,
			      bool *within);
void extents_free(struct extents *extents);
int extents_from_user(struct extents *extents, const struct carveout_ranges *ranges);
int extent_from_user(struct extent *extent, u64 start, u64 bytes);

#endif
