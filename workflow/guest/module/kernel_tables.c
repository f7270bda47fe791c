// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which frames hold the kernel's own page tables: of the linear map, which has one entry a page
 * with rodata=full, of the vmemmap, of vmalloc() and of the kernel's image. The kernel marks and
 * counts only those of processes, newer ones also many of these. The tables are read from the top,
 * as the CPU would.
 *
 * Memory that is being removed takes its tables with it. So tables are copied by a means that may
 * fail, and an address that is read from one is never trusted.
 *
 * A kernel at EL2 (FEAT_VHE) names its registers as at EL1, and the CPU takes EL2's for them.
 */

#include <linux/bitfield.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/pgtable.h>
#include <asm/sysreg.h>

#include "frame_set.h"
#include "kernel_tables.h"

/* Arm ARM, D8.3: above the last level, both bits are set in an entry that leads to a table. */
#define ENTRY_KIND 3
#define ENTRY_TABLE 3
#define ENTRY_VALID 1

#define ENTRIES (PAGE_SIZE / sizeof(u64))
#define BITS_PER_LEVEL (PAGE_SHIFT - 3)

static struct frame_set tables;
static unsigned long linear_map_tables;

/* Of them, those of the vmemmap that the kernel does not count: in the last look, and in this. */
static struct frame_set uncounted_before, uncounted;
static unsigned long uncounted_gone;

/* Whether the kernel counts tables of its own. All mark some that lead to others. */
static bool counts_last_level;

/* One copy a level, but the last: what its tables hold are pages. */
static u64 (*copies)[ENTRIES];

/* How the hardware was told to walk, whatever the kernel was built for. */
struct walk {
	u64 start;		/* the first address */
	phys_addr_t top;
	unsigned long top_entries;
	unsigned int levels;
};

/* Arm ARM, TCR_EL1 and TTBR1_EL1: in the second, bits 5 to 2 are bits 51 to 48 of the address. */
static struct walk walk_of_kernel(void)
{
	u64 ttbr = read_sysreg(ttbr1_el1);
	unsigned int size = FIELD_GET(TCR_T1SZ_MASK, read_sysreg(tcr_el1));
	unsigned int bits = 64 - size - PAGE_SHIFT;
	struct walk walk = {
		.start = ~0ULL << (bits + PAGE_SHIFT),
		.levels = DIV_ROUND_UP(bits, BITS_PER_LEVEL),
	};

	walk.top = (ttbr & GENMASK_ULL(47, 6)) | (ttbr & GENMASK_ULL(5, 2)) << 46;
	walk.top_entries = 1UL << (bits - (walk.levels - 1) * BITS_PER_LEVEL);
	return walk;
}

/* What was there at boot is reserved, and stays. */
static void note_uncounted(unsigned long pfn, unsigned int levels, u64 start)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page || PageReserved(page))
		return;
	if (PageTable(page))
		counts_last_level |= levels == 1;
	else if (start >= VMEMMAP_START && start < VMEMMAP_END)
		frame_set_add(&uncounted, pfn);
}

static unsigned int level_shift(unsigned int levels)
{
	return PAGE_SHIFT + BITS_PER_LEVEL * (levels - 1);
}

/* A table whose entries cover addresses from `start` on. */
static void note_table(phys_addr_t table, unsigned long count, unsigned int levels, u64 start)
{
	u64 *entries = copies[levels];
	unsigned long i;

	if (!frame_set_add(&tables, PHYS_PFN(table)))
		return;
	note_uncounted(PHYS_PFN(table), levels, start);
	/* Below PAGE_END there is nothing else (asm/memory.h). */
	if (start < PAGE_END)
		linear_map_tables++;
	if (levels == 1)
		return;
	if (copy_from_kernel_nofault(entries, phys_to_virt(table), count * sizeof(*entries)))
		return;
	for (i = 0; i < count; i++) {
		if ((entries[i] & ENTRY_KIND) == ENTRY_TABLE)
			note_table(__pte_to_phys(__pte(entries[i])), ENTRIES, levels - 1,
				   start + ((u64)i << level_shift(levels)));
	}
}

/* The frame that a leaf maps an address to: a page, or one of a block's. */
static unsigned long leaf_frame(u64 leaf, unsigned long address, unsigned int levels)
{
	u64 mask = GENMASK_ULL(level_shift(levels), 0) >> 1;

	return PHYS_PFN((__pte_to_phys(__pte(leaf)) & ~mask) | (address & mask));
}

/*
 * Sets the frame behind an address of the kernel's, if there is one, by reading the tables. Where
 * the CPU can be asked, that is faster.
 */
bool kernel_tables_find(unsigned long address, unsigned long *frame)
{
	struct walk walk = walk_of_kernel();
	unsigned long entries = walk.top_entries;
	phys_addr_t table = walk.top;
	unsigned int levels;
	u64 entry;

	for (levels = walk.levels; levels; levels--) {
		unsigned long index = (address >> level_shift(levels)) & (entries - 1);

		if (copy_from_kernel_nofault(&entry, (u64 *)phys_to_virt(table) + index,
					     sizeof(entry)) || !(entry & ENTRY_VALID))
			return false;
		if (levels == 1 || (entry & ENTRY_KIND) != ENTRY_TABLE) {
			*frame = leaf_frame(entry, address, levels);
			return true;
		}
		table = __pte_to_phys(__pte(entry));
		entries = ENTRIES;
	}
	return false;
}

static void note_all(const struct walk *walk)
{
	note_table(walk->top, walk->top_entries, walk->levels, walk->start);
	/* The table on top maps all else, too. */
	linear_map_tables--;
}

/* Looks at the tables as they are now. */
int kernel_tables_note(void)
{
	struct walk walk = walk_of_kernel();
	int ret = frame_set_clear(&tables);

	linear_map_tables = 0;
	swap(uncounted_before, uncounted);
	if (!ret)
		ret = frame_set_clear(&uncounted);
	if (!ret && !copies)
		copies = kvmalloc_array(walk.levels + 1, PAGE_SIZE, GFP_KERNEL);
	if (!ret && !copies)
		ret = -ENOMEM;
	if (!ret)
		note_all(&walk);
	if (!ret && counts_last_level)
		uncounted_gone += frame_set_count_gone(&uncounted_before, &uncounted);
	return ret;
}

/*
 * How many tables went, over all looks, that had never been counted. Kernels that count some of
 * their own tables take these off their count all the same when memory is removed: those of the
 * vmemmap, where it is mapped page by page. From then on they count so many less than there are.
 * Of kernels that count none of their own it is 0.
 */
unsigned long kernel_tables_gone(void)
{
	return uncounted_gone;
}

module_param_named(uncounted_tables, uncounted_gone, ulong, 0400);
MODULE_PARM_DESC(uncounted_tables, "page tables that the kernel took off its count without ever counting them");

/* How many of the tables map the RAM alone. */
unsigned long kernel_tables_of_linear_map(void)
{
	return linear_map_tables;
}

bool is_kernel_table(unsigned long pfn)
{
	return frame_set_has(&tables, pfn);
}

void kernel_tables_exit(void)
{
	kvfree(copies);
	frame_set_free(&tables);
	frame_set_free(&uncounted_before);
	frame_set_free(&uncounted);
}
