// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stops the whole machine at one instruction, through QEMU's pvpanic-pci device and -action
 * panic=pause, and goes on at one instant of the guest's clock, whatever happened meanwhile.
 *
 * This CPU stands at once, the machine a moment later, when QEMU's main loop gets to it. In between,
 * that loop may or may not find all CPUs idle, and (-icount sleep=off) move the clock on to the
 * next timer: a race that no guest can see coming. So both must come to the same:
 * - the other CPUs are asleep in their idle loops, and stay there: all work is the first CPU's;
 * - the next timer is this CPU's own, so that the clock cannot be moved further than that;
 * - after the store, this CPU waits for its timer: a clock that was not moved is moved now.
 */

#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/pci.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

#include "carveout.h"

/* docs/specs/pvpanic.rst of QEMU */
#define PVPANIC_VENDOR 0x1b36
#define PVPANIC_DEVICE 0x0011

#define SETTLE_US 1000	/* for the other CPUs to fall asleep */
#define SYNC_US 20	/* to get ready for the stop */

#define TIMER_ON 1	/* CNTV_CTL_EL0: enabled, not masked */

struct timer {
	u64 control;
	u64 compare;
};

static struct timer timer_set(u64 control, u64 compare)
{
	struct timer before = {
		.control = read_sysreg(cntv_ctl_el0),
		.compare = read_sysreg(cntv_cval_el0),
	};

	write_sysreg(compare, cntv_cval_el0);
	write_sysreg(control, cntv_ctl_el0);
	isb();
	return before;
}

/*
 * The machine stands after the store. Either the clock stands with it, WFI moves it to the sync,
 * and four instructions follow: CMP, B and two NOP. Or it has been moved to the sync already, WFI
 * does not wait, and four instructions have passed as well: MRS, WFI, CMP and B.
 */
static void store_and_wait(void __iomem *panic, u64 sync)
{
	u64 now;

	asm volatile("	strb	%w[one], [%[panic]]\n"
		     "	mrs	%[now], cntvct_el0\n"
		     "	wfi\n"
		     "	cmp	%[now], %[sync]\n"
		     "	b.hs	1f\n"
		     "	nop\n"
		     "	nop\n"
		     "1:\n"
		     : [now] "=&r" (now)
		     : [one] "r" (1), [panic] "r" (panic), [sync] "r" (sync)
		     : "memory", "cc");
}

static void stop_here(void __iomem *panic)
{
	struct timer before;
	unsigned long flags;
	u64 sync;

	local_irq_save(flags);
	sync = read_sysreg(cntvct_el0) + SYNC_US * read_sysreg(cntfrq_el0) / USEC_PER_SEC;
	before = timer_set(TIMER_ON, sync);
	store_and_wait(panic, sync);
	timer_set(before.control, before.compare);
	local_irq_restore(flags);
}

int pause_machine(void)
{
	struct pci_dev *device = pci_get_device(PVPANIC_VENDOR, PVPANIC_DEVICE, NULL);
	void __iomem *panic;
	int ret;

	if (!device)
		return -ENODEV;
	/* At EL2 the kernel keeps its time with another timer. */
	ret = is_kernel_in_hyp_mode() ? -EOPNOTSUPP : pci_enable_device(device);
	if (ret)
		goto put;
	panic = pci_iomap(device, 0, 0);
	if (panic) {
		fsleep(SETTLE_US);
		stop_here(panic);
		pci_iounmap(device, panic);
	} else {
		ret = -ENOMEM;
	}
	pci_disable_device(device);
put:
	pci_dev_put(device);
	return ret;
}
