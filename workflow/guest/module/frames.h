/* SPDX-License-Identifier: GPL-2.0-only */
/* What a frame is used for. */
#ifndef CARVEOUT_FRAMES_H
#define CARVEOUT_FRAMES_H

#include <linux/mm.h>
#include <linux/types.h>

enum frame_state {
	FRAME_ABSENT,		/* no memmap, or not online */
	FRAME_OFFLINE,		/* PageOffline: a driver took it out of Linux's hands */
	FRAME_FREE,		/* in the buddy allocator or, when noted, on a per-CPU list */
	FRAME_RESERVED,
	FRAME_MOVABLE,
	FRAME_SLAB,
	FRAME_PAGE_TABLE,
	FRAME_HUGETLB,
	FRAME_PINNED,		/* of a movable kind, but a device holds it */
	FRAME_KERNEL,		/* any other use that cannot move */
	FRAME_STATES
};

struct frame_run {
	enum frame_state state;
	unsigned long pages;
	struct page *page;	/* NULL when absent */
};

struct frame_run frame_run_read(unsigned long pfn, unsigned long end);
struct frame_run frame_stretch_read(unsigned long pfn, unsigned long end);
bool frame_run_can_move(const struct frame_run *run);
bool frame_run_is_gone(const struct frame_run *run);
bool frame_is_device(unsigned long pfn);
bool frame_is_present(const struct frame_run *run, unsigned long pfn);
int free_block_order(unsigned long pfn);
int pageblock_migratetype(unsigned long pfn);
void pageblock_set_migratetype(unsigned long pfn, int migratetype);
unsigned long first_ram_pfn(void);
unsigned long end_ram_pfn(void);
unsigned long next_memmap_section(unsigned long section);

#endif
