// SPDX-License-Identifier: GPL-2.0-only
/*
 * One reading of the host's memory: every frame of some ranges in exactly one account, and a map
 * with one letter a pageblock. What a pageblock holds decides, not its migratetype alone.
 *
 * The books are checked against what the kernel counts by other means. A host is never quite
 * still, so a reading during which these counters have changed is thrown away.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "carveout.h"
#include "counters.h"
#include "free_blocks.h"
#include "kernel_tables.h"
#include "map_writer.h"
#include "memmap.h"
#include "waiting.h"

#define MOST_READINGS 16

struct block {
	unsigned long pages;
	unsigned long lent;
	unsigned long device;
	unsigned long states[FRAME_STATES];
	unsigned long cannot_move;	/* allocated, slab included */
	int migratetype;		/* -1 when absent */
};

static char block_letter(const struct block *block)
{
	unsigned long here = block->pages - block->states[FRAME_ABSENT] -
			     block->states[FRAME_OFFLINE];
	unsigned long used = here - block->states[FRAME_FREE];

	if (block->lent)
		return block->lent == block->pages ? 'L' : 'P';
	if (block->device)
		return 'D';
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

/* Of memory that pfn_to_online_page() does not know: Linux's own, a device's, or none. */
static enum carveout_account absent_account(unsigned long pfn)
{
	if (!pfn_valid(pfn))
		return CARVEOUT_HIDDEN;
	return frame_is_device(pfn) ? CARVEOUT_DEVICE_MEMORY : CARVEOUT_OFFLINE;
}

/* The account for one of three places, of which a CMA area may lie in either zone. */
static enum carveout_account by_place(const struct frame_run *run, const struct block *block,
				      enum carveout_account ordinary,
				      enum carveout_account movable_zone,
				      enum carveout_account cma)
{
	if (is_migrate_cma(block->migratetype))
		return cma;
	return page_zonenum(run->page) == ZONE_MOVABLE ? movable_zone : ordinary;
}

static enum carveout_account used_account(const struct frame_run *run, const struct block *block)
{
	if (!frame_run_can_move(run))
		return CARVEOUT_UNMOVABLE;
	return by_place(run, block, CARVEOUT_MOVABLE, CARVEOUT_MOVABLE_ZONE_USED,
			CARVEOUT_CMA_USED);
}

/* A huge page that nobody uses, or the rest of one that is lent only in part. */
static bool pool_is_idle(struct folio *folio)
{
	return !folio_ref_count(folio) ||
	       extents_pages_within(&lent, folio_pfn(folio), folio_nr_pages(folio));
}

/* Of a frame that is not lent. All frames of the run are in one account, but for memmap. */
static enum carveout_account account_of(const struct frame_run *run, const struct block *block,
					unsigned long pfn)
{
	switch (run->state) {
	case FRAME_ABSENT:
		return absent_account(pfn);
	case FRAME_OFFLINE:
		return CARVEOUT_OFFLINE;
	case FRAME_RESERVED:
		return frame_is_present(run, pfn) ? CARVEOUT_RESERVED : CARVEOUT_NO_MAP;
	case FRAME_FREE:
		return by_place(run, block, CARVEOUT_FREE, CARVEOUT_MOVABLE_ZONE_FREE,
				CARVEOUT_CMA_IDLE);
	case FRAME_HUGETLB:
		return pool_is_idle(page_folio(run->page)) ? CARVEOUT_POOL_IDLE :
							     used_account(run, block);
	case FRAME_PAGE_TABLE:
		return CARVEOUT_PAGE_TABLES;
	case FRAME_SLAB:
		if (block->migratetype == MIGRATE_RECLAIMABLE)
			return CARVEOUT_RECLAIMABLE;
		return CARVEOUT_UNMOVABLE;
	default:
		return used_account(run, block);
	}
}

/* Reserved frames, the kernel's own and a device's, of which some hold what has an account. */
static enum carveout_account special_account(unsigned long pfn, enum carveout_account account)
{
	switch (memmap_payer(pfn)) {
	case MEMMAP_HOST:
		return CARVEOUT_MEMMAP_HOST;
	case MEMMAP_SELF:
		return CARVEOUT_MEMMAP_SELF;
	default:
		return is_kernel_table(pfn) ? CARVEOUT_PAGE_TABLES : account;
	}
}

static void add_unlent(struct carveout_census *census, const struct frame_run *run,
		       const struct block *block, unsigned long pfn, unsigned long pages)
{
	enum carveout_account account = account_of(run, block, pfn);
	unsigned long i;

	if (account != CARVEOUT_RESERVED && account != CARVEOUT_UNMOVABLE &&
	    account != CARVEOUT_OFFLINE && account != CARVEOUT_DEVICE_MEMORY) {
		census->accounts[account] += pages;
		return;
	}
	for (i = 0; i < pages; i++)
		census->accounts[special_account(pfn + i, account)]++;
}

/* Memmap on itself is never given to the page allocator, and nothing about its frames says so. */
static unsigned long managed_pages(const struct frame_run *run, unsigned long pfn)
{
	unsigned long i, pages = run->pages;

	if (!run->page || run->state == FRAME_RESERVED || run->state == FRAME_OFFLINE)
		return 0;
	for (i = 0; run->state == FRAME_KERNEL && i < run->pages; i++)
		pages -= memmap_payer(pfn + i) == MEMMAP_SELF;
	return pages;
}

static void add_to_checks(struct carveout_census *census, const struct frame_run *run,
			  const struct block *block, unsigned long pfn)
{
	struct carveout_count *checks = census->checks;
	unsigned long waiting;

	checks[CARVEOUT_CHECK_MANAGED].frames += managed_pages(run, pfn);
	if (run->state == FRAME_PAGE_TABLE)
		checks[CARVEOUT_CHECK_PAGE_TABLES].frames += run->pages;
	if (run->state != FRAME_FREE)
		return;
	free_blocks_add(census->free_blocks, pfn, pfn + run->pages);
	waiting = waiting_within(pfn, run->pages);
	checks[CARVEOUT_CHECK_WAITING].frames += waiting;
	if (is_migrate_cma(block->migratetype))
		checks[CARVEOUT_CHECK_FREE_CMA].frames += run->pages - waiting;
}

static void add_to_block(struct block *block, const struct frame_run *run, unsigned long pfn)
{
	block->lent += extents_pages_within(&lent, pfn, run->pages);
	block->states[run->state] += run->pages;
	if (!frame_is_present(run, pfn)) {
		if (run->state == FRAME_RESERVED)
			block->cannot_move += run->pages;
		else if (absent_account(pfn) == CARVEOUT_DEVICE_MEMORY)
			block->device += run->pages;
	} else if (!frame_run_can_move(run)) {
		block->cannot_move += run->pages;
	}
}

/*
 * Of lent frames. Those that the module holds are lent, whatever they are used for. What Linux gave
 * to the machine is only there as long as Linux does not have it.
 */
static void add_lent(struct carveout_census *census, const struct frame_run *run,
		     const struct block *block, unsigned long pfn, unsigned long pages, bool held)
{
	if (held) {
		census->accounts[CARVEOUT_LENT] += pages;
		if (run->state == FRAME_FREE)
			census->checks[CARVEOUT_CHECK_FREE].frames += pages;
	} else if (frame_run_is_gone(run)) {
		census->accounts[CARVEOUT_MACHINE] += pages;
	} else {
		add_unlent(census, run, block, pfn, pages);
	}
}

static void add_to_accounts(struct carveout_census *census, const struct frame_run *run,
			    const struct block *block, unsigned long pfn)
{
	unsigned long end = pfn + run->pages, pages;
	bool is_lent, is_held;

	for (; pfn < end; pfn += pages) {
		pages = extents_stretch(&lent, pfn, end - pfn, &is_lent);
		if (is_lent) {
			pages = extents_stretch(&lent_and_held, pfn, pages, &is_held);
			add_lent(census, run, block, pfn, pages, is_held);
		} else {
			add_unlent(census, run, block, pfn, pages);
		}
	}
}

static char census_read_block(struct carveout_census *census, unsigned long pfn)
{
	unsigned long end = pfn + pageblock_nr_pages;
	struct block block = { .pages = pageblock_nr_pages, .migratetype = -1 };

	if (pfn_to_online_page(pfn))
		block.migratetype = pageblock_migratetype(pfn);
	while (pfn < end) {
		struct frame_run run = frame_stretch_read(pfn, end);

		add_to_block(&block, &run, pfn);
		add_to_checks(census, &run, &block, pfn);
		add_to_accounts(census, &run, &block, pfn);
		pfn += run.pages;
	}
	census->checks[CARVEOUT_CHECK_LENT].frames += block.lent;
	if (block.cannot_move && !block.lent)
		census->blocked_pageblocks++;
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
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}

/* Sets how much of the map was written. */
static int census_read(struct carveout_census *census, const struct extents *extents,
		       unsigned long room)
{
	struct map_writer map = {
		.to = u64_to_user_ptr(census->map_pointer),
		.room = room,
	};
	unsigned long i;
	int ret = 0;

	for (i = 0; i < extents->count && !ret; i++)
		ret = census_read_extent(census, &map, &extents->list[i]);
	census->map_bytes = room - map.room;
	return ret ?: map_flush(&map);
}

static void census_start(struct carveout_census *census, const struct extents *extents)
{
	census->page_bytes = PAGE_SIZE;
	census->pageblock_bytes = PAGE_SIZE << pageblock_order;
	census->first_pfn = extents->list[0].pfn;
	census->struct_page_bytes = sizeof(struct page);
	memset(census->accounts, 0, sizeof(census->accounts));
	census->blocked_pageblocks = 0;
	census->orders = NR_PAGE_ORDERS;
	memset(census->free_blocks, 0, sizeof(census->free_blocks));
	memset(census->checks, 0, sizeof(census->checks));
}

static int census_read_once(struct carveout_census *census, const struct extents *extents,
			    unsigned long room)
{
	int ret;

	census_start(census, extents);
	ret = waiting_note();
	if (!ret)
		ret = kernel_tables_note();
	census->linear_map_table_pages = kernel_tables_of_linear_map();
	if (!ret)
		ret = memmap_measure(&census->memmap_bytes, &census->memmap_lent_bytes);
	if (!ret)
		ret = census_read(census, extents, room);
	/* Beside those that are lent and free, which no allocator's user should see. */
	census->checks[CARVEOUT_CHECK_FREE].frames +=
		census->accounts[CARVEOUT_FREE] + census->accounts[CARVEOUT_MOVABLE_ZONE_FREE] +
		census->accounts[CARVEOUT_CMA_IDLE] - census->checks[CARVEOUT_CHECK_WAITING].frames;
	census->checks[CARVEOUT_CHECK_LENT].counter = extents_pages(&lent);
	census->checks[CARVEOUT_CHECK_MEMMAP].frames = census->accounts[CARVEOUT_MEMMAP_HOST] +
						       census->accounts[CARVEOUT_MEMMAP_SELF];
	census->checks[CARVEOUT_CHECK_MEMMAP].counter = PHYS_PFN(census->memmap_bytes);
	return ret;
}

/* Either the kernel counts rightly, or it took off what it had never counted, and no more. */
static void note_page_tables(struct carveout_count *tables, unsigned long counted)
{
	tables->counter = counted;
	if (tables->frames == counted + kernel_tables_gone())
		tables->counter = tables->frames;
}

static void census_note_counters(struct carveout_census *census, const struct counters *counters)
{
	int order;

	BUILD_BUG_ON(NR_PAGE_ORDERS > CARVEOUT_MAX_ORDERS);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		census->free_blocks[order].counter = counters->free_blocks[order];
	census->checks[CARVEOUT_CHECK_FREE].counter = counters->free;
	census->checks[CARVEOUT_CHECK_FREE_CMA].counter = counters->free_cma;
	census->checks[CARVEOUT_CHECK_WAITING].counter = counters->waiting;
	note_page_tables(&census->checks[CARVEOUT_CHECK_PAGE_TABLES], counters->page_tables);
	census->checks[CARVEOUT_CHECK_MANAGED].counter = counters->managed;
}

static bool counts_agree(const struct carveout_count *counts, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (counts[i].frames != counts[i].counter)
			return false;
	}
	return true;
}

static bool checks_agree(const struct carveout_census *census)
{
	return counts_agree(census->checks, CARVEOUT_CHECKS) &&
	       counts_agree(census->free_blocks, NR_PAGE_ORDERS);
}

/*
 * Until the host stood still for as long as a reading takes. Memory that came and went meanwhile
 * leaves no trace in the counters, but in what was read: then it is read again, and books that are
 * really out are so each time.
 */
static int census_read_quiet(struct carveout_census *census, const struct extents *extents)
{
	unsigned long room = census->map_bytes, i;
	struct counters before, after;
	int ret = 0;

	for (i = 0; i < MOST_READINGS && !ret; i++) {
		counters_read(&before);
		ret = census_read_once(census, extents, room);
		counters_read(&after);
		census_note_counters(census, &after);
		if (!memcmp(&before, &after, sizeof(before)) && checks_agree(census))
			break;
	}
	return ret;
}

int census_take(struct carveout_census *census)
{
	struct extents extents = {};
	int ret;

	if (census->map_bytes > CARVEOUT_MAX_MAP_BYTES)
		return -E2BIG;
	ret = extents_from_user(&extents, &census->ranges);
	if (!ret)
		ret = census_read_quiet(census, &extents);
	extents_free(&extents);
	return ret;
}
