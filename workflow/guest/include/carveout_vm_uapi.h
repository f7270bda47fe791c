/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What carveout.ko and the guest's tool say to each other of VMs: a part of carveout_uapi.h. */
#ifndef CARVEOUT_VM_UAPI_H
#define CARVEOUT_VM_UAPI_H

#include <linux/types.h>

/* What lends have lent that no process holds: a VM's monitor maps it by mmap() of the device. */
struct carveout_vm_ranges {
	__u64 pointer;		/* to struct carveout_range[count] */
	__u64 count;		/* in: for how many there is room; out: how many there are */
};

/* Where a VM has its memory, of whose stage-2 faults those of the caller count from here on. */
struct carveout_vm_watch {
	__u64 start;
	__u64 bytes;
};

#define CARVEOUT_STAGE2_LEVELS 4

/* The stage-2 tables of a VM that stands, read as the CPU would, and what lent frames they map. */
struct carveout_stage2 {
	__u64 vm;		/* in: the caller's descriptor of it */
	__u64 leaf_bytes[CARVEOUT_STAGE2_LEVELS];	/* what an entry maps, from level 0 to 3 */
	__u64 leaves[CARVEOUT_STAGE2_LEVELS];
	__u64 device_bytes;	/* mapped as a device's */
	__u64 uncached_bytes;	/* mapped as Normal memory, and not cacheable */
	__u64 other_bytes;	/* of frames that are not lent */
	__u64 tables;		/* pages */
	__u64 faults;		/* since CARVEOUT_IOC_VM_WATCH */
};

enum carveout_vm_stage {
	CARVEOUT_VM_OPEN,	/* /dev/kvm */
	CARVEOUT_VM_CREATE,
	CARVEOUT_VM_MAP,	/* into the monitor */
	CARVEOUT_VM_MEMORY,	/* KVM_SET_USER_MEMORY_REGION */
	CARVEOUT_VM_CPU,
	CARVEOUT_VM_RUN,
	CARVEOUT_VM_STAGES,
};

/* How the monitor maps what is lent, and where the VM's code is. All are tried, in this order. */
enum carveout_vm_way {
	CARVEOUT_VM_CACHEABLE,
	CARVEOUT_VM_CACHEABLE_CODE_BESIDE,	/* in a page of the monitor's own */
	CARVEOUT_VM_UNCACHED,
	CARVEOUT_VM_UNCACHED_CODE_BESIDE,
	CARVEOUT_VM_WAYS,
};

/* What became of a VM, by its monitor. */
struct carveout_vm_report {
	__u32 way;		/* that it went; CARVEOUT_VM_WAYS: none */
	__u32 exits_told;	/* of KVM_RUN: what the VM had to say */
	__u32 stage[CARVEOUT_VM_WAYS];	/* at which the kernel refused a way */
	__u32 error[CARVEOUT_VM_WAYS];	/* and its errno, or 0 */
	__u64 made_ns;		/* from opening /dev/kvm until its CPU was to be made */
	__u64 first_instruction_ns;	/* and until its first instruction had taken effect */
	__u64 first_counter_ns;	/* the same by the CPU's counter */
	__u64 counter_ns;	/* between the two, by what the VM's own counter then said */
	__u64 run_ns;		/* in KVM_RUN */
	__u64 pages_checked;	/* by the VM's word */
	__u64 pages_bad;
	__u64 pages_unseen;	/* by its monitor, who does not read what the VM has written */
	__u64 exits;		/* by KVM's word */
	__u64 tables_counted;	/* by the kernel's counter: more than before, while the VM stands */
	__u64 tables_left;	/* likewise after its end */
	__u32 killed;		/* by a signal, while it ran */
	__u32 tainted;		/* 1 when the kernel got a taint meanwhile */
	__u32 failed;		/* 1 when its monitor ended by itself, or by another signal */
	__u32 unused;		/* 0 */
	struct carveout_stage2 stage2;
};

enum carveout_order_kind {
	CARVEOUT_ORDER_END,
	CARVEOUT_ORDER_RUN_VM,
	CARVEOUT_ORDER_KILL_VM,	/* run it without an end, and kill it while it runs */
};

/* What a process that holds memory is told. */
struct carveout_order {
	__u32 kind;
	__u32 holder;		/* in: which, from the newest lend on */
	__u64 seed;
	__u64 poke;		/* for tests: so many pages are changed before the VM reads them */
	struct carveout_vm_report report;	/* out */
};

#endif
