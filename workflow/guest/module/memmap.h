/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory that holds struct pages. */
#ifndef CARVEOUT_MEMMAP_H
#define CARVEOUT_MEMMAP_H

#include <linux/types.h>

enum memmap_payer {
	MEMMAP_NONE,	/* the frame holds no memmap */
	MEMMAP_HOST,
	MEMMAP_SELF,	/* it lies on the memory that it describes */
};

int memmap_measure(u64 *bytes, u64 *lent_bytes);
enum memmap_payer memmap_payer(unsigned long pfn);
void memmap_exit(void);

#endif
