/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CARVEOUT_FREE_BLOCKS_H
#define CARVEOUT_FREE_BLOCKS_H

struct carveout_count;

void free_blocks_add(struct carveout_count *blocks, unsigned long pfn, unsigned long end);

#endif
