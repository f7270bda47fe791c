// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps lent frames into a VM's monitor, as a hypervisor's driver would: those of lends that no
 * process holds. The offset is the physical address, for older kernels: there KVM finds by it where
 * blocks may begin. Newer ones map by a block in a VM what its monitor has mapped by one, and so
 * does the driver (get_vma_page_shift(), transparent_hugepage_adjust() in arch/arm64/kvm/mmu.c).
 *
 * Whoever opens the device with O_DSYNC gets the memory write-combined, as of /dev/mem. That is for
 * kernels that let no cacheable mapping without struct pages into a VM.
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "carveout.h"
#include "kernels.h"
#include "vm.h"

/*
 * What may be mapped, as the monitor was told last. Not under carveout_lock: who maps has the lock
 * of its address space, which whoever has carveout_lock may need to read or write its memory.
 */
static DEFINE_MUTEX(map_lock);
static struct extents mappable;
static unsigned int mappings;

/* What is mapped is given back to nobody, and what may be given back is not mapped. */
int vm_forget_ranges(void)
{
	int ret = 0;

	mutex_lock(&map_lock);
	if (mappings)
		ret = -EBUSY;
	else
		extents_free(&mappable);
	mutex_unlock(&map_lock);
	return ret;
}

static int collect_unheld(struct extents *all)
{
	struct lend *lend;
	int ret = 0;

	list_for_each_entry(lend, &lends, node) {
		if (lend_is_held(lend) && !lend->ops->end_holder)
			ret = extents_append_all(all, &lend->extents);
		if (ret)
			return ret;
	}
	extents_sort_and_merge(all);
	extents_unite(all);
	return 0;
}

static int ranges_to_user(const struct extents *extents, struct carveout_range __user *ranges)
{
	unsigned long i;

	for (i = 0; i < extents->count; i++) {
		struct carveout_range range = {
			.start = PFN_PHYS(extents->list[i].pfn),
			.bytes = PFN_PHYS(extents->list[i].pages),
		};

		if (copy_to_user(ranges + i, &range, sizeof(range)))
			return -EFAULT;
	}
	return 0;
}

/* Without room for all, it only says how many there are. */
int vm_ranges(struct carveout_vm_ranges *ranges)
{
	struct extents all = {};
	int ret = collect_unheld(&all);

	if (!ret && all.count <= ranges->count)
		ret = ranges_to_user(&all, u64_to_user_ptr(ranges->pointer));
	ranges->count = all.count;
	if (!ret) {
		mutex_lock(&map_lock);
		swap(all, mappable);
		mutex_unlock(&map_lock);
	}
	extents_free(&all);
	return ret;
}

static void count_mapping(int change)
{
	mutex_lock(&map_lock);
	mappings += change;
	mutex_unlock(&map_lock);
}

/* By a split of the mapping, or of the process. */
static void mapping_opened(struct vm_area_struct *area)
{
	count_mapping(1);
}

static void mapping_closed(struct vm_area_struct *area)
{
	count_mapping(-1);
}

#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP

static unsigned long frame_at(const struct vm_area_struct *area, unsigned long address)
{
	return area->vm_pgoff + PHYS_PFN(address - area->vm_start);
}

static vm_fault_t map_page(struct vm_fault *fault)
{
	return vmf_insert_pfn(fault->vma, fault->address, frame_at(fault->vma, fault->address));
}

static vm_fault_t map_block(struct vm_fault *fault, unsigned int order)
{
	const struct vm_area_struct *area = fault->vma;
	unsigned long start = fault->address & PMD_MASK;

	if (order != PMD_ORDER || start < area->vm_start || start + PMD_SIZE > area->vm_end ||
	    !IS_ALIGNED(frame_at(area, start), 1UL << PMD_ORDER))
		return VM_FAULT_FALLBACK;
	return insert_block(fault, frame_at(area, start));
}

static const struct vm_operations_struct mapping_operations = {
	.open = mapping_opened,
	.close = mapping_closed,
	.fault = map_page,
	.huge_fault = map_block,
};

/* Page by page or block by block, when it is touched first. */
static int map_all(struct vm_area_struct *area)
{
	vm_flags_set(area, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

#else

static const struct vm_operations_struct mapping_operations = {
	.open = mapping_opened,
	.close = mapping_closed,
};

static int map_all(struct vm_area_struct *area)
{
	return remap_pfn_range(area, area->vm_start, area->vm_pgoff,
			       area->vm_end - area->vm_start, area->vm_page_prot);
}

#endif

static bool may_map(unsigned long pfn, unsigned long pages)
{
	bool may;

	mutex_lock(&map_lock);
	may = extents_pages_within(&mappable, pfn, pages) == pages;
	mappings += may;
	mutex_unlock(&map_lock);
	return may;
}

/* A private mapping would be a copy. */
int vm_map(struct file *file, struct vm_area_struct *area)
{
	int ret;

	if (!(area->vm_flags & VM_SHARED))
		return -EINVAL;
	if (!may_map(area->vm_pgoff, vma_pages(area)))
		return -ENXIO;
	if (file->f_flags & O_DSYNC)
		area->vm_page_prot = pgprot_writecombine(area->vm_page_prot);
	ret = map_all(area);
	if (ret)
		count_mapping(-1);
	else
		area->vm_ops = &mapping_operations;
	return ret;
}
