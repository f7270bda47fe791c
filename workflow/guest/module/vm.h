/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM in what is lent: its monitor's mapping, and what the kernel makes of it. */
#ifndef CARVEOUT_VM_H
#define CARVEOUT_VM_H

#include <linux/types.h>

#include "carveout_uapi.h"

struct file;
struct vm_area_struct;

int vm_ranges(struct carveout_vm_ranges *ranges);
int vm_map(struct file *file, struct vm_area_struct *area);
int vm_forget_ranges(void);

int vm_watch(const struct carveout_vm_watch *watch);
int vm_read_stage2(struct carveout_stage2 *stage2);
u64 vm_count_tables(void);
void vm_exit(void);

#endif
