// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory the memmap takes, by its page tables: the vmemmap is walked page by page
 * and every physical page behind it counts once, however many struct pages share it (HVO maps
 * all tail pages of a huge page to one frame).
 *
 * memmap_lent_bytes: each of those physical pages counts with the share of its struct pages
 * that describe lent frames. A page that describes 64 frames of which 16 are lent counts a quarter.
 *
 * Sections that are not online are left out: nothing keeps their memmap from being removed under
 * our eyes, but for that of a device (ZONE_DEVICE), which is held meanwhile. What is online stays
 * so while carveout_lock is held (main.c).
 */

#include <linux/memory.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include "carveout.h"
#include "frame_set.h"
#include "memmap.h"

#define FRAMES_PER_MEMMAP_PAGE (PAGE_SIZE / sizeof(struct page))

/* Frames that hold memmap, of the last measurement, by who pays for it. */
static struct frame_set paid_by_host, paid_by_itself;

struct memmap_tally {
	u64 pages;
	u64 lent_bytes;
	unsigned long backing;	/* frame of the memmap page that is being tallied */
	bool shared;		/* that frame was counted before, further below */
	unsigned long described;
	unsigned long described_lent;
};

/*
 * Memory that was there at boot never pays for itself: it cannot be removed, with or without its
 * memmap. Of other memory, memmap on itself lies in the same memory block, or on a device.
 */
static bool pays_for_itself(unsigned long backing, unsigned long described)
{
	unsigned long block_pages = PHYS_PFN(memory_block_size_bytes());

	if (early_section(__pfn_to_section(described)))
		return false;
	return backing / block_pages == described / block_pages || !pfn_to_online_page(backing);
}

/* Returns whether the frame was there before. */
static bool note_backing(unsigned long backing, unsigned long described)
{
	if (frame_set_has(&paid_by_host, backing) || frame_set_has(&paid_by_itself, backing))
		return true;
	if (pays_for_itself(backing, described))
		frame_set_add(&paid_by_itself, backing);
	else
		frame_set_add(&paid_by_host, backing);
	return false;
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
		tally->shared = note_backing(backing, pfn);
	}
	tally->described += FRAMES_PER_MEMMAP_PAGE;
	tally->described_lent += extents_pages_within(&lent, pfn, FRAMES_PER_MEMMAP_PAGE);
}

static void tally_frames(struct memmap_tally *tally, unsigned long pfn, unsigned long end)
{
	for (; pfn < end; pfn += FRAMES_PER_MEMMAP_PAGE) {
		struct page *backing = vmalloc_to_page(pfn_to_page(pfn));

		/* Hot-added memory may fill a section only in part. */
		if (backing)
			tally_add(tally, page_to_pfn(backing), pfn);
	}
}

static void tally_section(struct memmap_tally *tally, unsigned long section)
{
	unsigned long pfn = section_nr_to_pfn(section), end = section_nr_to_pfn(section + 1);
	struct dev_pagemap *device;

	if (online_section(__nr_to_section(section))) {
		tally_frames(tally, pfn, end);
		return;
	}
	device = get_dev_pagemap(pfn, NULL);
	if (!device)
		return;
	tally_frames(tally, pfn, end);
	put_dev_pagemap(device);
}

static int tally_all(struct memmap_tally *tally)
{
	unsigned long section;

	for (section = next_memmap_section(0); section < NR_MEM_SECTIONS;
	     section = next_memmap_section(section + 1)) {
		tally_section(tally, section);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	tally_flush(tally);
	return 0;
}

int memmap_measure(u64 *bytes, u64 *lent_bytes)
{
	struct memmap_tally tally = {};
	int ret = frame_set_clear(&paid_by_host);

	if (!ret)
		ret = frame_set_clear(&paid_by_itself);
	if (!ret)
		ret = tally_all(&tally);
	*bytes = PFN_PHYS(tally.pages);
	*lent_bytes = tally.lent_bytes;
	return ret;
}

/* Of the last measurement. */
enum memmap_payer memmap_payer(unsigned long pfn)
{
	if (frame_set_has(&paid_by_host, pfn))
		return MEMMAP_HOST;
	return frame_set_has(&paid_by_itself, pfn) ? MEMMAP_SELF : MEMMAP_NONE;
}

void memmap_exit(void)
{
	frame_set_free(&paid_by_host);
	frame_set_free(&paid_by_itself);
}
