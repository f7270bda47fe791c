// SPDX-License-Identifier: GPL-2.0-only
/* Sets of frames, as bitmaps over all memory that has a memmap. */

#include <linux/bitmap.h>
#include <linux/vmalloc.h>

#include "frame_set.h"
#include "frames.h"

/* Empties the set, and makes room for all frames that there are now. */
int frame_set_clear(struct frame_set *set)
{
	unsigned long first = first_ram_pfn(), frames = end_ram_pfn() - first;

	if (first != set->first_pfn || frames > set->frames) {
		vfree(set->bits);
		set->bits = vmalloc(BITS_TO_LONGS(frames) * sizeof(long));
		set->first_pfn = first;
		set->frames = set->bits ? frames : 0;
	}
	if (!set->bits)
		return -ENOMEM;
	bitmap_zero(set->bits, set->frames);
	return 0;
}

/* Returns whether the frame is new to the set. One that the set has no room for always is. */
bool frame_set_add(struct frame_set *set, unsigned long pfn)
{
	if (pfn - set->first_pfn >= set->frames)
		return true;
	return !__test_and_set_bit(pfn - set->first_pfn, set->bits);
}

bool frame_set_has(const struct frame_set *set, unsigned long pfn)
{
	return pfn - set->first_pfn < set->frames && test_bit(pfn - set->first_pfn, set->bits);
}

/* How many of the frames from pfn on are in the set. */
unsigned long frame_set_count(const struct frame_set *set, unsigned long pfn, unsigned long pages)
{
	unsigned long at = pfn - set->first_pfn, end, count = 0;

	if (at >= set->frames)
		return 0;
	end = min(at + pages, set->frames);
	while ((at = find_next_bit(set->bits, end, at)) < end) {
		count++;
		at++;
	}
	return count;
}

/* How many frames were in the one set and are not in the other. */
unsigned long frame_set_count_gone(const struct frame_set *was, const struct frame_set *is)
{
	unsigned long at, count = 0;

	for_each_set_bit(at, was->bits, was->frames)
		count += !frame_set_has(is, was->first_pfn + at);
	return count;
}

void frame_set_free(struct frame_set *set)
{
	vfree(set->bits);
	*set = (struct frame_set){};
}
