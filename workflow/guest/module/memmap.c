// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory the memmap takes: the CPU is asked, for every page of the vmemmap, what lies
 * behind it, and every physical page counts once, however many struct pages share it (HVO maps all
 * tail pages of a huge page to one frame).
 *
 * memmap_lent_bytes: each of those physical pages counts with the share of its struct pages
 * that describe lent frames. A page that describes 64 frames of which 16 are lent counts a quarter.
 *
 * No struct page is read here, and by a CPU that answers no page table: memory that is being
 * removed meanwhile just has nothing behind its vmemmap any more.
 */

#include <linux/bits.h>
#include <linux/irqflags.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

#include "carveout.h"
#include "frame_set.h"
#include "kernel_tables.h"
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

/*
 * Sets the frame behind an address of the vmemmap, if there is one. The answer is what the CPU
 * would read there; vmalloc_to_page() is for other addresses (CONFIG_DEBUG_VIRTUAL says so).
 *
 * For a kernel at EL2 the same question is about the same tables by the architecture, but QEMU 7.2
 * answers for EL1, whose registers say nothing then (ats_write64() in target/arm/helper.c).
 */
static bool frame_behind(const struct page *memmap, unsigned long *frame)
{
	unsigned long flags;
	u64 answer;

	if (is_kernel_in_hyp_mode())
		return kernel_tables_find((unsigned long)memmap, frame);
	local_irq_save(flags);
	asm volatile("at s1e1r, %0" : : "r" (memmap));
	isb();
	answer = read_sysreg_par();
	local_irq_restore(flags);
	*frame = PHYS_PFN(answer & GENMASK_ULL(51, PAGE_SHIFT));
	return !(answer & SYS_PAR_EL1_F);
}

static void tally_section(struct memmap_tally *tally, unsigned long section)
{
	unsigned long pfn = section_nr_to_pfn(section), end = section_nr_to_pfn(section + 1);
	unsigned long backing;

	for (; pfn < end; pfn += FRAMES_PER_MEMMAP_PAGE) {
		/* Hot-added memory may fill a section only in part. */
		if (frame_behind(pfn_to_page(pfn), &backing))
			tally_add(tally, backing, pfn);
	}
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
