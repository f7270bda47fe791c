// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout: lends memory in the ways that a hypervisor could, and takes the census.
 *
 * /dev/carveout answers one request at a time; see carveout_uapi.h.
 */

#include <linux/fs.h>
#include <linux/memory.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "carveout.h"
#include "costs.h"
#include "kernel_tables.h"
#include "memmap.h"
#include "owners.h"
#include "vm.h"
#include "waiting.h"

/* One request at a time. While it is held, online memory stays online: see note_memory_change(). */
DEFINE_MUTEX(carveout_lock);

/* What a request carries, in and out. The largest fits on the stack. */
union argument {
	struct carveout_census census;
	struct carveout_contig contig;
	struct carveout_largest largest;
	struct carveout_cma cma;
	struct carveout_costs costs;
	struct carveout_await await;
	struct carveout_carve_out carve_out;
	struct carveout_mapping mapping;
	struct carveout_absent absent;
	struct carveout_reported reported;
	struct carveout_give_back give_back;
	struct carveout_blocker blocker;
	struct carveout_pattern pattern;
	struct carveout_reuse reuse;
	struct carveout_zero zero;
	struct carveout_scribble scribble;
	struct carveout_starve starve;
	struct carveout_unmovable unmovable;
	struct carveout_blocks blocks;
	struct carveout_vm_ranges vm_ranges;
	struct carveout_vm_watch vm_watch;
	struct carveout_stage2 stage2;
	struct carveout_order order;
	struct carveout_vm_report report;
	u64 number;
};

/* Of the frames that come back by themselves. */
static int forget(u64 *bytes)
{
	*bytes = 0;
	return absent_forget(bytes) ?: reported_forget(bytes);
}

static int answer(struct file *file, unsigned int request, union argument *argument)
{
	switch (request) {
	case CARVEOUT_IOC_CENSUS:
		return census_take(&argument->census);
	case CARVEOUT_IOC_LEND_CONTIG:
		return contig_lend(&argument->contig);
	case CARVEOUT_IOC_LEND_LARGEST:
		return largest_lend(&argument->largest);
	case CARVEOUT_IOC_LEND_CMA:
		return cma_lend(&argument->cma);
	case CARVEOUT_IOC_LEND_CARVE_OUT:
		return carve_out_lend(&argument->carve_out);
	case CARVEOUT_IOC_LEND_MAPPING:
		return mapping_lend(file, &argument->mapping);
	case CARVEOUT_IOC_ABSENT_BASELINE:
		return absent_take_baseline(&argument->absent);
	case CARVEOUT_IOC_LEND_ABSENT:
		return absent_lend(&argument->absent);
	case CARVEOUT_IOC_FORGET:
		return forget(&argument->number);
	case CARVEOUT_IOC_LEND_REPORTED:
		return reported_lend(&argument->reported);
	case CARVEOUT_IOC_BLOCKER:
		return blocker_find(&argument->blocker);
	case CARVEOUT_IOC_PATTERN_WRITE:
		return pattern_write(&argument->pattern);
	case CARVEOUT_IOC_PATTERN_CHECK:
		return pattern_check(&argument->pattern);
	case CARVEOUT_IOC_POKE:
		return pattern_poke(argument->number);
	case CARVEOUT_IOC_REUSE:
		return reuse_probe(&argument->reuse);
	case CARVEOUT_IOC_UNMOVABLE:
		return unmovable_place(&argument->unmovable);
	case CARVEOUT_IOC_ZERO:
		return pattern_zero(&argument->zero);
	case CARVEOUT_IOC_SCRIBBLE:
		return scribble_free_memory(&argument->scribble);
	case CARVEOUT_IOC_LOSE:
		return lends_lose(argument->number);
	case CARVEOUT_IOC_STARVE:
		return starve_host(file, &argument->starve);
	case CARVEOUT_IOC_VM_RANGES:
		return vm_ranges(&argument->vm_ranges);
	case CARVEOUT_IOC_VM_WATCH:
		return vm_watch(&argument->vm_watch);
	case CARVEOUT_IOC_VM_STAGE2:
		return vm_read_stage2(&argument->stage2);
	case CARVEOUT_IOC_VM_TABLES:
		argument->number = vm_count_tables();
		return 0;
	}
	return -ENOTTY;
}

/* Memory blocks come without the lock, whatever became of the rest. */
static int give_back(struct carveout_give_back *given)
{
	int ret, brought;

	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	ret = lends_give_back(given);
	mutex_unlock(&carveout_lock);
	brought = blocks_bring_back(given);
	return ret ?: brought;
}

/* Some requests concern nothing that is lent, or wait for who needs the lock. */
static int answer_any(struct file *file, unsigned int request, union argument *argument)
{
	int ret;

	switch (request) {
	case CARVEOUT_IOC_COST_BEGIN:
		return cost_begin(min(argument->number, (u64)U32_MAX));
	case CARVEOUT_IOC_COST_END:
		cost_end(&argument->costs);
		return 0;
	case CARVEOUT_IOC_PAUSE:
		return pause_machine(NULL);
	case CARVEOUT_IOC_PAUSE_AND_AWAIT:
		return pause_machine(&argument->await);
	case CARVEOUT_IOC_AWAIT:
		return await_work(&argument->await);
	case CARVEOUT_IOC_GIVE_BACK:
		return give_back(&argument->give_back);
	case CARVEOUT_IOC_LEND_BLOCK:
		return blocks_lend(&argument->blocks);
	case CARVEOUT_IOC_ADD_MEMORY:
		return blocks_add(&argument->blocks);
	case CARVEOUT_IOC_HOLD:
		return mapping_hold(file, &argument->order);
	case CARVEOUT_IOC_ORDER:
		return mapping_order(&argument->order);
	case CARVEOUT_IOC_REPORT:
		return mapping_report(file, &argument->report);
	}
	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	ret = answer(file, request, argument);
	mutex_unlock(&carveout_lock);
	return ret;
}

/* The argument goes back also after an error: it says how far the request came. */
static long carveout_ioctl(struct file *file, unsigned int request, unsigned long pointer)
{
	void __user *user = (void __user *)pointer;
	union argument argument = {};
	size_t size = _IOC_SIZE(request);
	long ret;

	if (_IOC_TYPE(request) != _IOC_TYPE(CARVEOUT_IOC_CENSUS) || size > sizeof(argument))
		return -ENOTTY;
	if (_IOC_DIR(request) & _IOC_WRITE && copy_from_user(&argument, user, size))
		return -EFAULT;
	ret = answer_any(file, request, &argument);
	if (_IOC_DIR(request) & _IOC_READ && copy_to_user(user, &argument, size))
		return -EFAULT;
	return ret;
}

/* Until it lends a mapping, an open file is nobody's. */
static int carveout_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;
	return 0;
}

static int carveout_release(struct inode *inode, struct file *file)
{
	starve_release(file);
	mapping_release(file);
	return 0;
}

static const struct file_operations carveout_operations = {
	.owner = THIS_MODULE,
	.open = carveout_open,
	.release = carveout_release,
	.unlocked_ioctl = carveout_ioctl,
	.mmap = vm_map,
	.llseek = noop_llseek,
};

static struct miscdevice carveout_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = CARVEOUT_DEVICE,
	.fops = &carveout_operations,
	.mode = 0600,
};

/*
 * Memory that goes offline may lose its struct pages next. By now it no longer counts as online, so
 * who looks at struct pages after this does not look there, and who does now has the lock.
 */
static int note_memory_change(struct notifier_block *block, unsigned long action, void *data)
{
	const struct memory_notify *memory = data;

	if (action == MEM_GOING_ONLINE)
		owners_cover(memory->start_pfn + memory->nr_pages);
	if (action == MEM_OFFLINE) {
		mutex_lock(&carveout_lock);
		mutex_unlock(&carveout_lock);
	}
	return NOTIFY_OK;
}

static struct notifier_block memory_changes = { .notifier_call = note_memory_change };

static int __init carveout_init(void)
{
	int ret = probes_init();

	if (ret)
		return ret;
	ret = register_memory_notifier(&memory_changes);
	if (ret)
		goto exit_probes;
	ret = misc_register(&carveout_device);
	if (!ret)
		return 0;
	unregister_memory_notifier(&memory_changes);
exit_probes:
	probes_exit();
	return ret;
}

static void __exit carveout_exit(void)
{
	misc_deregister(&carveout_device);
	unregister_memory_notifier(&memory_changes);
	owners_exit();
	probes_exit();
	vm_exit();
	lends_give_back_all();
	blocks_exit();
	unmovable_exit();
	cma_exit();
	absent_exit();
	memmap_exit();
	waiting_exit();
	kernel_tables_exit();
	snapshot_exit();
}

module_init(carveout_init);
module_exit(carveout_exit);
MODULE_DESCRIPTION("Measures ways of setting memory aside for virtual machines");
MODULE_AUTHOR("The carveout authors");
MODULE_VERSION(CARVEOUT_VERSION);
MODULE_LICENSE("GPL");
