/* SPDX-License-Identifier: GPL-2.0-only */
/* Free frames that wait on per-CPU lists. */
#ifndef CARVEOUT_WAITING_H
#define CARVEOUT_WAITING_H

#include <linux/types.h>

int waiting_note(void);
bool is_waiting(unsigned long pfn);
unsigned long waiting_within(unsigned long pfn, unsigned long pages);
void waiting_exit(void);

#endif
