// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM makes of a VM's memory: its stage-2 tables, read from the top as the CPU would while the
 * VM stands, and the faults by which they came to be.
 *
 * Of KVM's structures only where the tables begin is taken, and how wide an address is; all else is
 * the architecture's (Arm ARM, D8.3). What KVM itself counts of them is held against it by tests.
 */

#include <linux/bitfield.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/vmstat.h>
#include <asm/kvm_pgtable.h>
#include <asm/pgtable.h>

#include "carveout.h"
#include "costs.h"
#include "counters.h"
#include "vm.h"

#define LAST_LEVEL (CARVEOUT_STAGE2_LEVELS - 1)
#define BITS_PER_LEVEL (PAGE_SHIFT - 3)

#define ENTRY_VALID BIT(0)
#define ENTRY_TABLE BIT(1)	/* above the last level */

/* MemAttr[3:0] of a leaf. With and without FEAT_S2FWB these two kinds are told by the same bits. */
#define ENTRY_MEMATTR GENMASK(5, 2)
#define DEVICE_MEMATTR 3	/* the largest of them */
#define UNCACHED_MEMATTR 5

static struct {
	struct task_struct *task;	/* compared, never followed */
	u64 start;
	u64 end;
	u64 faults;
} watched;

static struct tracepoint *fault_tracepoint;	/* NULL: not set */

/*
 * As arch/arm64/kvm/trace_arm.h declares it, which is not among the headers for modules. Faults at
 * addresses without memory are how a VM speaks to its monitor.
 */
static void guest_faulted(void *data, unsigned long pc, unsigned long syndrome,
			  unsigned long address, unsigned long long ipa)
{
	if (current == watched.task && ipa >= watched.start && ipa < watched.end)
		watched.faults++;
}

int vm_watch(const struct carveout_vm_watch *watch)
{
	int ret = 0;

	if (!fault_tracepoint) {
		struct tracepoint *tracepoint = probes_find_tracepoint("kvm_guest_fault");

		ret = tracepoint ? tracepoint_probe_register(tracepoint, guest_faulted, NULL) :
				   -ENOENT;
		if (!ret)
			fault_tracepoint = tracepoint;
	}
	watched.task = current;
	watched.start = watch->start;
	watched.end = watch->start + watch->bytes;
	watched.faults = 0;
	return ret;
}

void vm_exit(void)
{
	if (!fault_tracepoint)
		return;
	tracepoint_probe_unregister(fault_tracepoint, guest_faulted, NULL);
	tracepoint_synchronize_unregister();
}

/* Of all VMs, and of IOMMUs, of which the machine has none. */
u64 vm_count_tables(void)
{
	return counters_of_nodes(NR_SECONDARY_PAGETABLE);
}

#if IS_ENABLED(CONFIG_KVM)

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + BITS_PER_LEVEL * (LAST_LEVEL - level);
}

static void note_leaf(struct carveout_stage2 *found, u64 leaf, unsigned int level)
{
	u64 bytes = BIT_ULL(level_shift(level));
	u64 start = __pte_to_phys(__pte(leaf)) & ~(bytes - 1);
	u64 lent_bytes = PFN_PHYS(extents_pages_within(&lent, PHYS_PFN(start), PHYS_PFN(bytes)));
	unsigned int attributes = FIELD_GET(ENTRY_MEMATTR, leaf);

	found->other_bytes += bytes - lent_bytes;
	if (!lent_bytes)
		return;
	found->leaves[level]++;
	if (attributes <= DEVICE_MEMATTR)
		found->device_bytes += lent_bytes;
	if (attributes == UNCACHED_MEMATTR)
		found->uncached_bytes += lent_bytes;
}

static void note_table(struct carveout_stage2 *found, const u64 *table, unsigned long entries,
		       unsigned int level)
{
	unsigned long i;

	found->tables += DIV_ROUND_UP(entries * sizeof(u64), PAGE_SIZE);
	for (i = 0; i < entries; i++) {
		u64 entry = READ_ONCE(table[i]);

		if (!(entry & ENTRY_VALID))
			continue;
		if (level < LAST_LEVEL && entry & ENTRY_TABLE)
			note_table(found, phys_to_virt(__pte_to_phys(__pte(entry))),
				   BIT(BITS_PER_LEVEL), level + 1);
		else
			note_leaf(found, entry, level);
	}
}

/* The top table may be several pages in a row: there are no more levels than needed. */
static int note_tables(struct carveout_stage2 *found, struct kvm *kvm)
{
	const struct kvm_pgtable *tables = kvm->arch.mmu.pgt;
	const int start_level = tables ? tables->start_level : -1;
	unsigned int level;

	/* Addresses of 52 bits may take one more level above (LPA2). */
	if (start_level < 0 || start_level > LAST_LEVEL)
		return -ENXIO;
	for (level = 0; level < CARVEOUT_STAGE2_LEVELS; level++)
		found->leaf_bytes[level] = BIT_ULL(level_shift(level));
	level = start_level;
	note_table(found, phys_to_virt(kvm->arch.mmu.pgd_phys),
		   BIT(tables->ia_bits - level_shift(level)), level);
	return 0;
}

/*
 * KVM tells modules no more what file is its own: its name does, where only the kernel gives names
 * to files.
 */
static struct kvm *kvm_of(const struct file *file)
{
	if (file_inode(file)->i_sb->s_magic != ANON_INODE_FS_MAGIC ||
	    strcmp(file->f_path.dentry->d_name.name, "kvm-vm"))
		return NULL;
	return file->private_data;
}

static int read_locked(struct carveout_stage2 *found, struct kvm *kvm)
{
	int ret;

	read_lock(&kvm->mmu_lock);
	ret = note_tables(found, kvm);
	read_unlock(&kvm->mmu_lock);
	return ret;
}

int vm_read_stage2(struct carveout_stage2 *stage2)
{
	struct carveout_stage2 found = { .vm = stage2->vm, .faults = watched.faults };
	struct file *file = fget(stage2->vm);
	struct kvm *kvm = file ? kvm_of(file) : NULL;
	int ret = kvm ? read_locked(&found, kvm) : -EBADF;

	if (file)
		fput(file);
	if (!ret)
		*stage2 = found;
	return ret;
}

#else

int vm_read_stage2(struct carveout_stage2 *stage2)
{
	return -ENODEV;
}

#endif
