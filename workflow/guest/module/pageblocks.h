/* SPDX-License-Identifier: GPL-2.0-only */
/* The types of pageblocks, as they were before allocations stole pageblocks. */
#ifndef CARVEOUT_PAGEBLOCKS_H
#define CARVEOUT_PAGEBLOCKS_H

#include <linux/types.h>

struct pageblock_types {
	unsigned long first_pfn;
	unsigned long blocks;
	u8 *types;		/* of the pageblocks from first_pfn on */
};

int pageblock_types_note(struct pageblock_types *noted);
void pageblock_types_restore(const struct pageblock_types *noted);
void pageblock_types_mend(const struct pageblock_types *noted);
void pageblock_types_free(struct pageblock_types *noted);
bool pageblock_convert(unsigned long pfn, int migratetype);

#endif
