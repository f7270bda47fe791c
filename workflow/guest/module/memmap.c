// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory the memmap takes, by its page tables: the vmemmap is walked page by page
 * and every physical page behind it counts once, however many struct pages share it (HVO maps
 * all tail pages of a huge page to one frame).
 *
 * memmap_lent_bytes: each of those physical pages counts with the share of its struct pages
 * that describe lent frames. A page that describes 64 frames of which 16 are lent counts a quarter.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/vmalloc.h>

#include "carveout.h"

#define FRAMES_PER_MEMMAP_PAGE (PAGE_SIZE / sizeof(struct page))

/* Kept from one census to the next, so that the second does not disturb what it reads. */
static unsigned long *counted;
static unsigned long counted_first, counted_frames;

struct memmap_tally {
	u64 pages;
	u64 lent_bytes;
	unsigned long backing;	/* frame of the memmap page that is being tallied */
	bool shared;		/* that frame was counted before, further below */
	unsigned long described;
	unsigned long described_lent;
};

static int counted_reset(void)
{
	unsigned long first = first_ram_pfn(), frames = end_ram_pfn() - first;

	if (first != counted_first || frames > counted_frames) {
		vfree(counted);
		counted = vmalloc(BITS_TO_LONGS(frames) * sizeof(long));
		counted_first = first;
		counted_frames = counted ? frames : 0;
	}
	if (!counted)
		return -ENOMEM;
	bitmap_zero(counted, counted_frames);
	return 0;
}

static bool counted_before(unsigned long pfn)
{
	if (pfn - counted_first >= counted_frames)
		return false;
	return __test_and_set_bit(pfn - counted_first, counted);
}

static void tally_flush(struct memmap_tally *tally)
{
	if (tally->described && !tally->shared) {
		tally->pages++;
		tally->lent_bytes += PAGE_SIZE * tally->described_lent / tally->described;
	}
	tally->described = 0;
	tally->described_lent = 0;
}

static void tally_add(struct memmap_tally *tally, unsigned long backing, unsigned long pfn)
{
	if (!tally->described || backing != tally->backing) {
		tally_flush(tally);
		tally->backing = backing;
		tally->shared = counted_before(backing);
	}
	tally->described += FRAMES_PER_MEMMAP_PAGE;
	tally->described_lent += extents_pages_within(&lent, pfn, FRAMES_PER_MEMMAP_PAGE);
}

static void tally_section(struct memmap_tally *tally, unsigned long section)
{
	unsigned long pfn = section_nr_to_pfn(section), end = section_nr_to_pfn(section + 1);

	for (; pfn < end; pfn += FRAMES_PER_MEMMAP_PAGE) {
		struct page *backing = vmalloc_to_page(pfn_to_page(pfn));

		/* Hot-added memory may fill a section only in part. */
		if (backing)
			tally_add(tally, page_to_pfn(backing), pfn);
	}
}

int memmap_measure(u64 *bytes, u64 *lent_bytes)
{
	struct memmap_tally tally = {};
	unsigned long section;
	int ret = counted_reset();

	if (ret)
		return ret;
	for (section = next_memmap_section(0); section < NR_MEM_SECTIONS;
	     section = next_memmap_section(section + 1))
		tally_section(&tally, section);
	tally_flush(&tally);
	*bytes = PFN_PHYS(tally.pages);
	*lent_bytes = tally.lent_bytes;
	return 0;
}

void memmap_exit(void)
{
	vfree(counted);
}
