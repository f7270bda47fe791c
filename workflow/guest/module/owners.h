/* SPDX-License-Identifier: GPL-2.0-only */
/* Who allocated a frame that cannot move. */
#ifndef CARVEOUT_OWNERS_H
#define CARVEOUT_OWNERS_H

#include <linux/types.h>

void owner_note(unsigned long pfn, unsigned long pages);
void owner_print(unsigned long pfn, char *to, size_t size);
void owners_cover(unsigned long end_pfn);
void owners_exit(void);

#endif
