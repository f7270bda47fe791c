// SPDX-License-Identifier: GPL-2.0-only
/*
 * One reading of the host's memory: totals over the frames of some ranges, and a map with one
 * letter a pageblock. What a pageblock holds decides, not its migratetype alone.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/uaccess.h>

#include "carveout.h"

struct block {
	unsigned long pages;
	unsigned long lent;
	unsigned long states[FRAME_STATES];
	unsigned long cannot_move;	/* allocated, slab included */
	int migratetype;		/* -1 when absent */
};

/* Letters gather here on their way to user space: a census allocates nothing. */
struct map_writer {
	char __user *to;
	unsigned long room;
	unsigned long used;
	char letters[128];
};

static int map_flush(struct map_writer *map)
{
	if (copy_to_user(map->to, map->letters, map->used))
		return -EFAULT;
	map->to += map->used;
	map->used = 0;
	return 0;
}

static int map_put(struct map_writer *map, char letter)
{
	if (!map->room)
		return -E2BIG;
	map->room--;
	map->letters[map->used++] = letter;
	return map->used == sizeof(map->letters) ? map_flush(map) : 0;
}

static char block_letter(const struct block *block)
{
	unsigned long here = block->pages - block->states[FRAME_ABSENT] -
			     block->states[FRAME_OFFLINE];
	unsigned long used = here - block->states[FRAME_FREE];

	if (block->lent)
		return 'L';
	if (!here)
		return 'A';
	if (is_migrate_cma(block->migratetype))
		return 'C';
	if (!used)
		return 'F';
	if (used == block->states[FRAME_RESERVED])
		return 'X';
	if (!block->cannot_move)
		return 'M';
	if (block->migratetype == MIGRATE_RECLAIMABLE &&
	    block->cannot_move == block->states[FRAME_SLAB])
		return 'R';
	return 'U';
}

/* Frames of a run that are not lent, by what keeps Linux from using them freely. */
static void census_add_unlent(struct carveout_census *census, const struct frame_run *run,
			      const struct block *block, u64 bytes)
{
	if (run->state == FRAME_HUGETLB)
		census->hugetlb_unlent_bytes += bytes;
	if (is_migrate_cma(block->migratetype))
		census->cma_unlent_bytes += bytes;
	if (run->state != FRAME_RESERVED && page_zonenum(run->page) == ZONE_MOVABLE)
		census->movable_zone_unlent_bytes += bytes;
}

static void census_add(struct carveout_census *census, struct block *block,
		       const struct frame_run *run, unsigned long pfn)
{
	unsigned long lent_pages = extents_pages_within(&lent, pfn, run->pages);

	block->lent += lent_pages;
	block->states[run->state] += run->pages;
	if (!frame_is_present(run, pfn)) {
		census->lent_absent_bytes += PFN_PHYS(lent_pages);
		if (run->state == FRAME_RESERVED)
			block->cannot_move += run->pages;
		return;
	}
	if (!frame_run_can_move(run))
		block->cannot_move += run->pages;
	census->present_bytes += PFN_PHYS(run->pages);
	census_add_unlent(census, run, block, PFN_PHYS(run->pages - lent_pages));
}

static char census_read_block(struct carveout_census *census, unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;
	struct block block = { .pages = pageblock_nr_pages, .migratetype = -1 };

	if (pfn_to_online_page(pfn))
		block.migratetype = pageblock_migratetype(pfn);
	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		census_add(census, &block, &run, pfn);
		pfn += run.pages;
	}
	return block_letter(&block);
}

static int census_read_extent(struct carveout_census *census, struct map_writer *map,
			      const struct extent *extent)
{
	unsigned long pfn, end = extent->pfn + extent->pages;
	int ret = 0;

	if (!pageblock_aligned(extent->pfn) || !pageblock_aligned(end))
		return -EINVAL;
	for (pfn = extent->pfn; pfn < end && !ret; pfn += pageblock_nr_pages) {
		ret = map_put(map, census_read_block(census, pfn));
		cond_resched();
	}
	return ret;
}

static int census_read(struct carveout_census *census, const struct extents *extents)
{
	struct map_writer map = {
		.to = u64_to_user_ptr(census->map_pointer),
		.room = census->map_bytes,
	};
	unsigned long i;
	int ret = 0;

	for (i = 0; i < extents->count && !ret; i++)
		ret = census_read_extent(census, &map, &extents->list[i]);
	census->map_bytes -= map.room;
	return ret ?: map_flush(&map);
}

static void census_start(struct carveout_census *census, const struct extents *extents)
{
	census->page_bytes = PAGE_SIZE;
	census->pageblock_bytes = PAGE_SIZE << pageblock_order;
	census->first_pfn = extents->list[0].pfn;
	census->present_bytes = 0;
	census->lent_absent_bytes = 0;
	census->hugetlb_unlent_bytes = 0;
	census->cma_unlent_bytes = 0;
	census->movable_zone_unlent_bytes = 0;
}

int census_take(struct carveout_census *census)
{
	struct extents extents = {};
	int ret;

	if (census->map_bytes > CARVEOUT_MAX_MAP_BYTES)
		return -E2BIG;
	ret = extents_from_user(&extents, &census->ranges);
	if (!ret) {
		census_start(census, &extents);
		ret = memmap_measure(&census->memmap_bytes, &census->memmap_lent_bytes);
	}
	if (!ret)
		ret = census_read(census, &extents);
	extents_free(&extents);
	return ret;
}
