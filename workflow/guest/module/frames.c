// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a frame is used for, read from its struct page without taking a reference or a lock.
 * The guest is quiet while a census is taken; a page that changes under our eyes is read
 * as what it was or as what it becomes, and a size read from it is never trusted.
 */

#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-flags.h>

#include "frames.h"
#include "kernels.h"
#include "waiting.h"

/* Pages from here to the end of the folio. */
static unsigned long folio_rest(struct folio *folio, struct page *page)
{
	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/*
 * Anonymous, file and other movable pages have a mapping. Asking only for PageLRU would miss
 * those that were just faulted in and wait in a per-CPU batch to be put on a list.
 */
static enum frame_state folio_state(struct folio *folio)
{
	if (!folio_test_lru(folio) && !folio->mapping)
		return FRAME_KERNEL;
	return folio_maybe_dma_pinned(folio) ? FRAME_PINNED : FRAME_MOVABLE;
}

/*
 * The order of the free block that holds the frame, or -1. A block larger than a pageblock may
 * begin in an earlier one. Free pages on a per-CPU list are in no block.
 */
int free_block_order(unsigned long pfn)
{
	unsigned long order, held;

	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		unsigned long head = ALIGN_DOWN(pfn, 1UL << order);
		struct page *page = pfn_to_online_page(head);

		if (!page || !PageBuddy(page))
			continue;
		held = page_private(page);
		if (held < NR_PAGE_ORDERS && head + (1UL << held) > pfn)
			return held;
	}
	return -1;
}

/*
 * Without a count, a type and flags, a frame is free, or the tail of a block that was allocated
 * without __GFP_COMP, of which only the head has a count.
 */
static enum frame_state uncounted_state(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	return is_waiting(pfn) || free_block_order(pfn) >= 0 ? FRAME_FREE : FRAME_KERNEL;
}

/*
 * What is no part of anything larger and has no type to look into; of others FRAME_STATES. Loads
 * fill memory with pages on LRU lists, which are nothing else: they come first.
 *
 * A type may be a lie. Where HVO gives back the memmap of a huge page, vmemmap_restore_pte() in
 * mm/hugetlb_vmemmap.c copies the head's struct page to where a tail's should be, and the type of
 * huge pages stays there when the page is long free.
 */
static enum frame_state single_state(struct page *page)
{
	if (PageCompound(page))
		return FRAME_STATES;
	if (PageLRU(page))
		return folio_state(page_folio(page));
	if (PageOffline(page))
		return FRAME_OFFLINE;
	if (PageTable(page))
		return FRAME_PAGE_TABLE;
	if (PageSlab(page))	/* a flag in older kernels, a type in newer ones */
		return FRAME_SLAB;
	if (page_has_type(page))
		return is_waiting(page_to_pfn(page)) ? FRAME_FREE : FRAME_STATES;
	if (PageReserved(page))
		return FRAME_RESERVED;
	return page_ref_count(page) ? folio_state(page_folio(page)) : uncounted_state(page);
}

static struct frame_run folio_run_read(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct frame_run run = { .page = page, .pages = folio_rest(folio, page) };

	if (folio_test_hugetlb(folio) && folio_test_large(folio))
		run.state = FRAME_HUGETLB;
	else if (folio_test_slab(folio))
		run.state = FRAME_SLAB;
	else if (page_has_type(&folio->page) || !folio_ref_count(folio))
		run.state = FRAME_KERNEL;	/* without a count it is on its way to be freed */
	else
		run.state = folio_state(folio);
	return run;
}

/* Only a head is marked as free: ask for the block at its head and where a pageblock begins. */
static unsigned long free_rest(struct page *page, unsigned long pfn)
{
	int order = PageBuddy(page) || pageblock_aligned(pfn) ? free_block_order(pfn) : -1;

	return order < 0 ? 0 : ALIGN_DOWN(pfn, 1UL << order) + (1UL << order) - pfn;
}

static struct frame_run online_run_read(struct page *page, unsigned long pfn)
{
	struct frame_run run = { .page = page, .pages = free_rest(page, pfn) };

	if (run.pages) {
		run.state = FRAME_FREE;
		return run;
	}
	run.pages = 1;
	run.state = single_state(page);
	return run.state == FRAME_STATES ? folio_run_read(page) : run;
}

/*
 * The frames from pfn on that share one state and one allocation: a free block, a folio,
 * a single page, or the rest of an absent pageblock.
 */
struct frame_run frame_run_read(unsigned long pfn, unsigned long end)
{
	struct page *page = pfn_to_online_page(pfn);
	struct frame_run run = { .state = FRAME_ABSENT, .pages = pageblock_end_pfn(pfn) - pfn };

	if (page)
		run = online_run_read(page, pfn);
	run.pages = clamp(run.pages, 1UL, end - pfn);
	return run;
}

/*
 * The frames from pfn on that share one state, to the end of the pageblock at most; all or none of
 * them are present. Where it does not matter which were allocated together this is much quicker.
 */
struct frame_run frame_stretch_read(unsigned long pfn, unsigned long end)
{
	struct frame_run run = frame_run_read(pfn, end);
	unsigned long last = min(end, pageblock_end_pfn(pfn)) - 1;
	bool present = run.state == FRAME_RESERVED && pfn_is_map_memory(pfn);

	for (pfn += run.pages; run.page && pfn <= last; pfn++, run.pages++) {
		if (single_state(pfn_to_page(pfn)) != run.state)
			break;
		if (run.state == FRAME_RESERVED && pfn_is_map_memory(pfn) != present)
			break;
	}
	return run;
}

/* Whether alloc_contig_range() may find another place for it, as far as flags tell. */
bool frame_run_can_move(const struct frame_run *run)
{
	if (run->state == FRAME_HUGETLB)
		return folio_order(page_folio(run->page)) <= MAX_PAGE_ORDER;
	return run->state == FRAME_FREE || run->state == FRAME_MOVABLE;
}

/* Linux does not have the frames, whether it kept their memmap or not. */
bool frame_run_is_gone(const struct frame_run *run)
{
	return run->state == FRAME_ABSENT || run->state == FRAME_OFFLINE;
}

/* Memory of a device (ZONE_DEVICE): it has a memmap, and is mapped like Linux's own. */
bool frame_is_device(unsigned long pfn)
{
	struct dev_pagemap *device;

	if (!pfn_valid(pfn) || pfn_to_online_page(pfn))
		return false;
#ifdef HAS_PAGEMAP_HINT
	device = get_dev_pagemap(pfn, NULL);
#else
	device = get_dev_pagemap(pfn);
#endif
	if (!device)
		return false;
	put_dev_pagemap(device);
	return true;
}

/*
 * Linux has the frame: online memmap, not PageOffline, and part of the linear map. The last
 * is what a "no-map" region lacks, though it has a memmap: its pages are all reserved.
 */
bool frame_is_present(const struct frame_run *run, unsigned long pfn)
{
	if (frame_run_is_gone(run))
		return false;
	return run->state != FRAME_RESERVED || pfn_is_map_memory(pfn);
}

/* get_pfnblock_flags_mask() is not exported; the bits are in the section's usage map. */
static unsigned long *pageblock_bits(unsigned long pfn, unsigned int *shift)
{
	unsigned long block = (pfn & (PAGES_PER_SECTION - 1)) >> pageblock_order;
	unsigned long bit = block * NR_PAGEBLOCK_BITS;

	*shift = bit % BITS_PER_LONG;
	return section_to_usemap(__pfn_to_section(pfn)) + bit / BITS_PER_LONG;
}

int pageblock_migratetype(unsigned long pfn)
{
	unsigned int shift;
	unsigned long *word = pageblock_bits(pfn, &shift);

	return (READ_ONCE(*word) >> shift) & MIGRATETYPE_MASK;
}

/* Only for a pageblock whose pages are all the caller's: free lists go by the type. */
void pageblock_set_migratetype(unsigned long pfn, int migratetype)
{
	unsigned int shift;
	unsigned long *word = pageblock_bits(pfn, &shift);
	unsigned long old = READ_ONCE(*word), new;

	do {
		new = (old & ~(MIGRATETYPE_MASK << shift)) | ((unsigned long)migratetype << shift);
	} while (!try_cmpxchg(word, &old, new));
}

/*
 * The first section from this one on that has a memmap, or NR_MEM_SECTIONS. None can lie where the
 * linear map does not reach, which is most of the sections that physical addresses could have.
 */
unsigned long next_memmap_section(unsigned long section)
{
	unsigned long last = pfn_to_section_nr(PHYS_PFN(mhp_get_pluggable_range(true).end));

	while (section <= last) {
		struct mem_section *found = __nr_to_section(section);

		if (valid_section(found))
			return section;
		/* A root that is not there stands for as many sections as fit in one. */
		section = found ? section + 1 : ALIGN(section + 1, SECTIONS_PER_ROOT);
	}
	return NR_MEM_SECTIONS;
}

unsigned long first_ram_pfn(void)
{
	return section_nr_to_pfn(next_memmap_section(0));
}

unsigned long end_ram_pfn(void)
{
	unsigned long section, end = 0;

	for (section = next_memmap_section(0); section < NR_MEM_SECTIONS;
	     section = next_memmap_section(section + 1))
		end = section_nr_to_pfn(section + 1);
	return end;
}
