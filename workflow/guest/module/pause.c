// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stops the whole machine at one instruction, through QEMU's pvpanic-pci device and -action
 * panic=pause, and goes on at one instant of the guest's clock, whatever happened meanwhile.
 *
 * This CPU stands at once, the machine a moment later, when QEMU's main loop gets to it. In
 * between, that loop may or may not find all CPUs idle, and (-icount sleep=off) move the clock on
 * to the next timer: a race that no guest can see coming. So both must come to the same:
 * - the other CPUs are asleep in their idle loops, and stay there: all work is the first CPU's;
 * - the next timer is this CPU's own, so that the clock cannot be moved further than that;
 * - after the store, this CPU waits for a later instant, to the very instruction, and only then
 *   takes interrupts, of what the host did meanwhile for instance.
 */

#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

#include "carveout.h"
#include "costs.h"
#include "drain.h"

/* docs/specs/pvpanic.rst of QEMU */
#define PVPANIC_VENDOR 0x1b36
#define PVPANIC_DEVICE 0x0011

/* With -icount shift=0 an instruction takes 1 ns, and a tick of QEMU's counter 16 of them. */
#define TICKS_PER_S 62500000

#define SETTLE_US 1000		/* for the other CPUs to fall asleep */
#define SYNC_TICKS 1250		/* to get ready for the stop: 20 us */
#define WAIT_TICKS 64		/* from the latest instant to which the clock is moved */

#define TIMER_ON 1	/* CNTV_CTL_EL0 and CNTP_CTL_EL0: enabled, not masked */

struct timer {
	u64 control;
	u64 compare;
};

static struct timer virtual_timer_set(u64 control, u64 compare)
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

static struct timer physical_timer_set(u64 control, u64 compare)
{
	struct timer before = {
		.control = read_sysreg(cntp_ctl_el0),
		.compare = read_sysreg(cntp_cval_el0),
	};

	write_sysreg(compare, cntp_cval_el0);
	write_sysreg(control, cntp_ctl_el0);
	isb();
	return before;
}

/*
 * The timer by which the kernel keeps its time. At EL2, where the CPU takes the hypervisor's two
 * for the physical and the virtual one (FEAT_VHE), that is the physical one, unless a newer kernel
 * has found the other and has it running. The counter is the same, without an offset there.
 */
static struct timer timer_set(u64 control, u64 compare)
{
	if (is_kernel_in_hyp_mode() && !(read_sysreg(cntv_ctl_el0) & TIMER_ON))
		return physical_timer_set(control, compare);
	return virtual_timer_set(control, compare);
}

/*
 * The machine stands after the store. When it goes on, the clock shows that instant or has been
 * moved; the counter is too coarse to wait for an exact one. So first a loop of 17 instructions:
 * it reads one tick more each time, but two when its read has just come to the first
 * instruction of a tick. From there a loop of 16 reads every tick at its first instruction.
 */
static void store_and_wait(void __iomem *panic, u64 until)
{
	u64 last, now, ticks;

	asm volatile("	strb	%w[one], [%[panic]]\n"
		     "	mrs	%[last], cntvct_el0\n"
		     "	.rept	15\n	nop\n	.endr\n"
		     "1:	mrs	%[now], cntvct_el0\n"
		     "	sub	%[ticks], %[now], %[last]\n"
		     "	mov	%[last], %[now]\n"
		     "	.rept	12\n	nop\n	.endr\n"
		     "	cmp	%[ticks], #2\n"
		     "	b.lo	1b\n"
		     "2:	mrs	%[now], cntvct_el0\n"
		     "	.rept	13\n	nop\n	.endr\n"
		     "	cmp	%[now], %[until]\n"
		     "	b.lo	2b\n"
		     : [last] "=&r" (last), [now] "=&r" (now), [ticks] "=&r" (ticks)
		     : [one] "r" (1), [panic] "r" (panic), [until] "r" (until)
		     : "memory", "cc");
}

/* What the host does while the machine stands begins, for the guest, before interrupts return. */
static void stop_here(void __iomem *panic, bool await)
{
	struct timer before;
	unsigned long flags;
	u64 sync;

	local_irq_save(flags);
	sync = read_sysreg(cntvct_el0) + SYNC_TICKS;
	before = timer_set(TIMER_ON, sync);
	store_and_wait(panic, sync + WAIT_TICKS);
	timer_set(before.control, before.compare);
	if (await)
		await_begin();
	local_irq_restore(flags);
}

static bool can_pause(void)
{
	return read_sysreg(cntfrq_el0) == TICKS_PER_S;
}

/*
 * Taking memory offline waits for a grace period of RCU, which ends with a tick: so what is timed
 * begins just after one, when no grace period is under way. Otherwise the same work would take up
 * to two ticks more or less, by chance.
 */
void begin_with_tick(void)
{
	unsigned long tick;

	rcu_barrier();
	synchronize_rcu();
	tick = jiffies;
	while (time_before_eq(jiffies, tick))
		cpu_relax();
}

/* The device is let go of after the wait: what that takes is nobody's cost. */
static int pause_mapped(void __iomem *panic, struct carveout_await *await)
{
	fsleep(SETTLE_US);
	if (await)
		begin_with_tick();
	stop_here(panic, await);
	return await ? await_end(await) : 0;
}

static int pause_by(struct pci_dev *device, struct carveout_await *await)
{
	void __iomem *panic;
	int ret = pci_enable_device(device);

	if (ret)
		return ret;
	ret = -ENOMEM;
	panic = pci_iomap(device, 0, 0);
	if (panic) {
		ret = pause_mapped(panic, await);
		pci_iounmap(device, panic);
	}
	pci_disable_device(device);
	return ret;
}

/*
 * Pages of the process that waits here, on their way to an LRU list in a per-CPU batch, would be in
 * the way of what it waits for: has_unmovable_pages() in mm/page_isolation.c takes them for pages
 * that cannot move.
 */
static int leave_the_way(void)
{
	if (mutex_lock_killable(&carveout_lock))
		return -EINTR;
	drain_per_cpu_lists();
	mutex_unlock(&carveout_lock);
	return 0;
}

static int pause_locked(struct carveout_await *await)
{
	struct pci_dev *device;
	int ret = await ? await_prepare(await->work) ?: leave_the_way() : 0;

	if (ret)
		return ret;
	device = pci_get_device(PVPANIC_VENDOR, PVPANIC_DEVICE, NULL);
	if (!device)
		return -ENODEV;
	ret = can_pause() ? pause_by(device, await) : -EOPNOTSUPP;
	pci_dev_put(device);
	return ret;
}

/*
 * Not all under carveout_lock: what is awaited may offline memory, and whoever watches memory going
 * offline takes that lock.
 */
int pause_machine(struct carveout_await *await)
{
	static DEFINE_MUTEX(pause_lock);
	int ret;

	if (mutex_lock_killable(&pause_lock))
		return -EINTR;
	ret = pause_locked(await);
	mutex_unlock(&pause_lock);
	return ret;
}
