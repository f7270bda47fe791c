// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names the page that stood in the way: alloc_contig_range() and the DMA API do not. Of all
 * aligned candidates the one with the fewest frames that cannot move is taken, and the first
 * such frame in it is described. Candidates are counted in whole pageblocks, as the kernel
 * isolates them.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "carveout.h"
#include "drain.h"
#include "kernels.h"
#include "memmap.h"
#include "owners.h"
#include "waiting.h"

static const char * const state_words[FRAME_STATES] = {
	[FRAME_ABSENT] = "absent",
	[FRAME_OFFLINE] = "offline",
	[FRAME_FREE] = "free",
	[FRAME_RESERVED] = "reserved",
	[FRAME_MOVABLE] = "pinned",	/* named only when something holds it */
	[FRAME_SLAB] = "slab",
	[FRAME_PAGE_TABLE] = "pgtable",
	[FRAME_HUGETLB] = "hugetlb",
	[FRAME_PINNED] = "pinned",
	[FRAME_KERNEL] = "kernel",
};

static const struct {
	unsigned long mask;
	const char *word;
} flag_words[] = {
	{ BIT(PG_locked), "locked" },
	{ BIT(PG_writeback), "writeback" },
	{ BIT(PG_referenced), "referenced" },
	{ BIT(PG_uptodate), "uptodate" },
	{ BIT(PG_dirty), "dirty" },
	{ BIT(PG_lru), "lru" },
	{ BIT(PG_head), "head" },
	{ BIT(PG_active), "active" },
	{ BIT(PG_workingset), "workingset" },
	{ BIT(PG_reserved), "reserved" },
	{ BIT(PG_private), "private" },
	{ BIT(PG_swapbacked), "swapbacked" },
	{ BIT(PG_unevictable), "unevictable" },
	{ BIT(PG_mlocked), "mlocked" },
};

struct search {
	const struct carveout_blocker *request;
	unsigned long first;		/* pfn */
	unsigned long blocks;		/* pageblocks */
	unsigned int *blockers_below;	/* [blocks + 1] frames that cannot move before the block */
};

/* References beyond those of page tables, the page cache and the swap cache: drain before. */
static bool is_held(const struct frame_run *run)
{
	struct folio *folio = page_folio(run->page);
	long expected = mapcount_read(folio);

	if (folio_test_swapcache(folio) || !folio_test_anon(folio))
		expected += folio_nr_pages(folio) + folio_test_private(folio);
	return folio_ref_count(folio) > expected;
}

static bool run_is_blocker(const struct frame_run *run)
{
	if (run->state == FRAME_MOVABLE)
		return is_held(run);
	return !frame_run_can_move(run);
}

/* A frame outside the wanted area is no candidate, whatever it holds. */
static const char *outside_area(u32 area, unsigned long pfn, const struct frame_run *run)
{
	bool cma = is_migrate_cma(pageblock_migratetype(pfn));

	if (area == CARVEOUT_AREA_CMA)
		return cma ? NULL : "not_cma";
	if (cma)
		return "cma";
	if (area == CARVEOUT_AREA_MOVABLE && page_zonenum(run->page) != ZONE_MOVABLE)
		return "not_movable";
	return NULL;
}

/* The word for what is in the way, or NULL. */
static const char *blocker_word(u32 area, unsigned long pfn, const struct frame_run *run)
{
	const char *word;

	if (run->state == FRAME_ABSENT)
		return state_words[FRAME_ABSENT];
	word = outside_area(area, pfn, run);
	if (word)
		return word;
	/* The kernel could move some of it, and nobody wants that. */
	if (extents_pages_within(&lent, pfn, 1))
		return "lent";
	if (area == CARVEOUT_AREA_BLOCKS && memmap_payer(pfn) == MEMMAP_SELF)
		return NULL;
	return run_is_blocker(run) ? state_words[run->state] : NULL;
}

/* Frames in the way, in frames whose per-CPU lists were drained and noted before. */
unsigned int count_blockers(u32 area, unsigned long pfn, unsigned long end)
{
	unsigned int blockers = 0;

	while (pfn < end) {
		struct frame_run run = frame_run_read(pfn, end);

		if (blocker_word(area, pfn, &run))
			blockers += run.pages;
		pfn += run.pages;
	}
	return blockers;
}

static void count_all(struct search *search)
{
	unsigned long i, pfn = search->first;

	for (i = 0; i < search->blocks; i++, pfn += pageblock_nr_pages) {
		if (fatal_signal_pending(current))
			return;
		search->blockers_below[i + 1] = search->blockers_below[i] +
			count_blockers(search->request->area, pfn, pfn + pageblock_nr_pages);
		cond_resched();
	}
}

/* Frames in the way of a candidate, in the pageblocks that hold it. */
static unsigned int candidate_blockers(const struct search *search, unsigned long pfn)
{
	unsigned long end = pfn + PHYS_PFN(search->request->bytes);
	unsigned long low = (pfn - search->first) >> pageblock_order;
	unsigned long high = (pageblock_align(end) - search->first) >> pageblock_order;

	return search->blockers_below[high] - search->blockers_below[low];
}

/* Zones do not mix in one candidate. Absent ends count as one zone with anything. */
static bool candidate_spans_zones(unsigned long pfn, unsigned long pages)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + pages - 1);

	return first && last && page_zone(first) != page_zone(last);
}

static unsigned long best_candidate(const struct search *search)
{
	unsigned long pages = PHYS_PFN(search->request->bytes);
	unsigned long end = search->first + (search->blocks << pageblock_order);
	unsigned long pfn = ALIGN(search->first, PHYS_PFN(search->request->align_bytes));
	unsigned long best = end;
	unsigned int blockers, fewest = UINT_MAX;

	for (; pages <= end && pfn <= end - pages; pfn += PHYS_PFN(search->request->align_bytes)) {
		if (fatal_signal_pending(current))
			break;
		cond_resched();
		if (candidate_spans_zones(pfn, pages))
			continue;
		blockers = candidate_blockers(search, pfn);
		if (blockers < fewest) {
			fewest = blockers;
			best = pfn;
		}
	}
	return best;
}

static void describe_flags(struct carveout_blocker *blocker, struct page *page)
{
	/* Newer kernels have them in a struct of their own. */
	unsigned long flags = *(const unsigned long *)&page_folio(page)->flags;
	size_t used = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(flag_words); i++) {
		if (!(flags & flag_words[i].mask))
			continue;
		used += scnprintf(blocker->flags + used, sizeof(blocker->flags) - used, "%s%s",
				  used ? "," : "", flag_words[i].word);
	}
}

static void describe_first(struct carveout_blocker *blocker, unsigned long pfn)
{
	unsigned long end = pageblock_align(pfn + PHYS_PFN(blocker->bytes));

	pfn = pageblock_start_pfn(pfn);
	while (pfn < end) {
		struct frame_run run = frame_run_read(pfn, end);
		const char *word = blocker_word(blocker->area, pfn, &run);

		if (word) {
			blocker->found = 1;
			blocker->pfn = pfn;
			strscpy(blocker->type, word, sizeof(blocker->type));
			if (run.page)
				describe_flags(blocker, run.page);
			if (run.state == FRAME_KERNEL || run.state == FRAME_SLAB ||
			    run.state == FRAME_PAGE_TABLE)
				owner_print(pfn, blocker->owner, sizeof(blocker->owner));
			return;
		}
		pfn += run.pages;
	}
}

/* Whole pageblocks of the RAM, or of a part of it. */
static void set_bounds(struct search *search)
{
	const struct carveout_range *within = &search->request->within;
	unsigned long end = end_ram_pfn();

	search->first = first_ram_pfn();
	if (within->bytes) {
		search->first = max(search->first, pageblock_start_pfn(PHYS_PFN(within->start)));
		end = min(end, PHYS_PFN(within->start + within->bytes));
	}
	search->blocks = end > search->first ? (end - search->first) >> pageblock_order : 0;
}

static int blocker_search(struct carveout_blocker *blocker)
{
	struct search search = { .request = blocker };
	unsigned long best;
	int ret;

	drain_per_cpu_lists();
	ret = waiting_note();
	if (ret)
		return ret;
	set_bounds(&search);
	search.blockers_below = kvcalloc(search.blocks + 1, sizeof(*search.blockers_below),
					 GFP_KERNEL);
	if (!search.blockers_below)
		return -ENOMEM;
	count_all(&search);
	best = best_candidate(&search);
	kvfree(search.blockers_below);
	if (fatal_signal_pending(current))
		return -EINTR;
	if (best < search.first + (search.blocks << pageblock_order))
		describe_first(blocker, best);
	return 0;
}

int blocker_find(struct carveout_blocker *blocker)
{
	const struct carveout_range *within = &blocker->within;
	int ret = contig_check(blocker->bytes, blocker->align_bytes);
	struct extent extent;

	if (!ret && within->bytes)
		ret = extent_from_user(&extent, within->start, within->bytes);
	if (ret)
		return ret;
	if (blocker->area >= CARVEOUT_AREAS)
		return -EINVAL;
	blocker->found = 0;
	blocker->pfn = 0;
	memset(blocker->type, 0, sizeof(blocker->type));
	memset(blocker->flags, 0, sizeof(blocker->flags));
	memset(blocker->owner, 0, sizeof(blocker->owner));
	return blocker_search(blocker);
}
