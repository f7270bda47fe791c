/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own page tables. */
#ifndef CARVEOUT_KERNEL_TABLES_H
#define CARVEOUT_KERNEL_TABLES_H

#include <linux/types.h>

int kernel_tables_note(void);
bool is_kernel_table(unsigned long pfn);
unsigned long kernel_tables_gone(void);
unsigned long kernel_tables_of_linear_map(void);
bool kernel_tables_find(unsigned long address, unsigned long *frame);
void kernel_tables_exit(void);

#endif
