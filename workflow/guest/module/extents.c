// SPDX-License-Identifier: GPL-2.0-only
/* Lists of runs of frames. */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "extents.h"

#define FIRST_CAPACITY 8

static int extents_grow(struct extents *extents)
{
	unsigned long capacity = max(2 * extents->capacity, (unsigned long)FIRST_CAPACITY);
	struct extent *list = kvmalloc_array(capacity, sizeof(*list), GFP_KERNEL | __GFP_NOWARN);

	if (!list)
		return -ENOMEM;
	if (extents->count)
		memcpy(list, extents->list, extents->count * sizeof(*list));
	kvfree(extents->list);
	extents->list = list;
	extents->capacity = capacity;
	return 0;
}

/* Joins the run to the last one when it follows directly. */
int extents_append(struct extents *extents, unsigned long pfn, unsigned long pages)
{
	struct extent *last = extents->count ? &extents->list[extents->count - 1] : NULL;
	int ret;

	if (last && last->pfn + last->pages == pfn) {
		last->pages += pages;
		return 0;
	}
	if (extents->count == extents->capacity) {
		ret = extents_grow(extents);
		if (ret)
			return ret;
	}
	extents->list[extents->count++] = (struct extent){ .pfn = pfn, .pages = pages };
	return 0;
}

int extents_append_all(struct extents *extents, const struct extents *other)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < other->count && !ret; i++)
		ret = extents_append(extents, other->list[i].pfn, other->list[i].pages);
	return ret;
}

static int compare_pfn(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

/* Merges neighbours; runs that overlap stay apart, so that the overlap can be seen. */
void extents_sort_and_merge(struct extents *extents)
{
	unsigned long i, kept = 0;

	if (!extents->count)
		return;
	sort(extents->list, extents->count, sizeof(*extents->list), compare_pfn, NULL);
	for (i = 1; i < extents->count; i++) {
		struct extent *last = &extents->list[kept];

		if (last->pfn + last->pages == extents->list[i].pfn)
			last->pages += extents->list[i].pages;
		else
			extents->list[++kept] = extents->list[i];
	}
	extents->count = kept + 1;
}

/* Runs that overlap become one. Returns how many frames were in more than one of them. */
unsigned long extents_unite(struct extents *sorted)
{
	unsigned long i, kept = 0, twice = 0, twice_end = 0;

	for (i = 1; i < sorted->count; i++) {
		struct extent *last = &sorted->list[kept], *next = &sorted->list[i];
		unsigned long last_end = last->pfn + last->pages, end = next->pfn + next->pages;
		unsigned long from = max(next->pfn, twice_end), until = min(end, last_end);

		if (next->pfn > last_end) {
			sorted->list[++kept] = *next;
			continue;
		}
		if (from < until) {
			twice += until - from;
			twice_end = until;
		}
		last->pages = max(end, last_end) - last->pfn;
	}
	if (sorted->count)
		sorted->count = kept + 1;
	return twice;
}

unsigned long extents_pages(const struct extents *extents)
{
	unsigned long i, pages = 0;

	for (i = 0; i < extents->count; i++)
		pages += extents->list[i].pages;
	return pages;
}

/* The first extent that ends after the frame. */
static unsigned long extents_find(const struct extents *sorted, unsigned long pfn)
{
	unsigned long low = 0, high = sorted->count;

	while (low < high) {
		unsigned long middle = low + (high - low) / 2;

		if (sorted->list[middle].pfn + sorted->list[middle].pages <= pfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* How many frames of [pfn, pfn + pages) the extents hold. */
unsigned long extents_pages_within(const struct extents *sorted, unsigned long pfn,
				   unsigned long pages)
{
	unsigned long i, end = pfn + pages, within = 0;

	for (i = extents_find(sorted, pfn); i < sorted->count; i++) {
		const struct extent *extent = &sorted->list[i];

		if (extent->pfn >= end)
			break;
		within += min(end, extent->pfn + extent->pages) - max(pfn, extent->pfn);
	}
	return within;
}

/* How many frames from pfn on, up to so many, are all within the extents or all outside. */
unsigned long extents_stretch(const struct extents *sorted, unsigned long pfn, unsigned long pages,
			      bool *within)
{
	unsigned long i = extents_find(sorted, pfn);
	const struct extent *next = &sorted->list[i];

	*within = i < sorted->count && next->pfn <= pfn;
	if (*within)
		return min(pages, next->pfn + next->pages - pfn);
	return i < sorted->count ? min(pages, next->pfn - pfn) : pages;
}

/* Appends the frames of the run that are in none of the other extents. */
int extents_append_without(struct extents *extents, const struct extent *run,
			   const struct extents *sorted)
{
	unsigned long i, pfn = run->pfn, end = run->pfn + run->pages;
	int ret = 0;

	for (i = extents_find(sorted, pfn); i < sorted->count && pfn < end && !ret; i++) {
		const struct extent *hole = &sorted->list[i];

		if (hole->pfn >= end)
			break;
		if (hole->pfn > pfn)
			ret = extents_append(extents, pfn, hole->pfn - pfn);
		pfn = hole->pfn + hole->pages;
	}
	if (pfn < end && !ret)
		ret = extents_append(extents, pfn, end - pfn);
	return ret;
}

int extents_append_all_without(struct extents *extents, const struct extents *others,
			       const struct extents *sorted)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < others->count && !ret; i++)
		ret = extents_append_without(extents, &others->list[i], sorted);
	return ret;
}

void extents_free(struct extents *extents)
{
	kvfree(extents->list);
	*extents = (struct extents){};
}

/* A range from user space is whole pages, not empty, and within the physical address space. */
int extent_from_user(struct extent *extent, u64 start, u64 bytes)
{
	if (!bytes || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(bytes))
		return -EINVAL;
	if (start >= 1ULL << MAX_PHYSMEM_BITS || bytes > (1ULL << MAX_PHYSMEM_BITS) - start)
		return -ERANGE;
	*extent = (struct extent){ .pfn = PHYS_PFN(start), .pages = PHYS_PFN(bytes) };
	return 0;
}

static int extents_append_user(struct extents *extents, const struct carveout_range *range,
			       unsigned long *end)
{
	struct extent extent;
	int ret = extent_from_user(&extent, range->start, range->bytes);

	if (ret)
		return ret;
	if (extent.pfn < *end)
		return -EINVAL;
	*end = extent.pfn + extent.pages;
	return extents_append(extents, extent.pfn, extent.pages);
}

/* The caller frees the extents, also after an error. */
int extents_from_user(struct extents *extents, const struct carveout_ranges *ranges)
{
	const struct carveout_range __user *from = u64_to_user_ptr(ranges->pointer);
	struct carveout_range range;
	unsigned long end = 0;
	int ret = 0;
	u32 i;

	if (ranges->count > CARVEOUT_MAX_RANGES)
		return -E2BIG;
	if (!ranges->count || ranges->reserved)
		return -EINVAL;
	for (i = 0; i < ranges->count && !ret; i++) {
		if (copy_from_user(&range, from + i, sizeof(range)))
			return -EFAULT;
		ret = extents_append_user(extents, &range, &end);
	}
	return ret;
}
