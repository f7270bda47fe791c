// SPDX-License-Identifier: GPL-2.0-only
/* The stack of what a task's time goes to; probes.c tells when the kernel turns to what. */

#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "costs.h"

#define DEEPEST 16

/* The lender alone changes the stack, but anyone may begin or end it. */
static DEFINE_RAW_SPINLOCK(lock);
static struct task_struct *lender;	/* compared, never followed */
static enum carveout_cost stack[DEEPEST];
static unsigned int depth;		/* beyond DEEPEST, the deepest goes on */
static u64 spent_ns[CARVEOUT_COSTS];
static u64 since_ns;

bool cost_is_lender(void)
{
	return in_task() && READ_ONCE(lender) == current;
}

static enum carveout_cost *top(void)
{
	return &stack[min_t(unsigned int, depth, DEEPEST) - 1];
}

/* The same clock as the tool's, and it may be read anywhere. */
static void charge(void)
{
	u64 now_ns = ktime_get_mono_fast_ns();

	if (lender)
		spent_ns[*top()] += now_ns - since_ns;
	since_ns = now_ns;
}

int cost_begin(u32 base)
{
	unsigned long flags;

	if (base >= CARVEOUT_COSTS)
		return -EINVAL;
	raw_spin_lock_irqsave(&lock, flags);
	memset(spent_ns, 0, sizeof(spent_ns));
	stack[0] = base;
	depth = 1;
	WRITE_ONCE(lender, current);
	since_ns = ktime_get_mono_fast_ns();
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static void push(enum carveout_cost category, bool within)
{
	unsigned long flags;

	if (!cost_is_lender())
		return;
	raw_spin_lock_irqsave(&lock, flags);
	charge();
	if (within && *top() == CARVEOUT_COST_UNCOUNTED)
		category = CARVEOUT_COST_UNCOUNTED;
	depth++;
	if (depth <= DEEPEST)
		*top() = category;
	raw_spin_unlock_irqrestore(&lock, flags);
}

/* For what the module does by itself. */
void cost_enter(enum carveout_cost category)
{
	push(category, false);
}

/* For what the kernel does meanwhile: within what is not counted, nothing counts. */
void cost_enter_within(enum carveout_cost category)
{
	push(category, true);
}

/* From here on, until it is left, what was entered last is another. */
void cost_switch(enum carveout_cost category)
{
	unsigned long flags;

	if (!cost_is_lender())
		return;
	raw_spin_lock_irqsave(&lock, flags);
	charge();
	*top() = category;
	raw_spin_unlock_irqrestore(&lock, flags);
}

void cost_leave(void)
{
	unsigned long flags;

	if (!cost_is_lender())
		return;
	raw_spin_lock_irqsave(&lock, flags);
	charge();
	if (depth > 1)
		depth--;
	raw_spin_unlock_irqrestore(&lock, flags);
}

/* The calling task is the lender from here on: it does what the lender waits for. */
void cost_take_over(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	charge();
	depth = 1;
	WRITE_ONCE(lender, current);
	raw_spin_unlock_irqrestore(&lock, flags);
}

void cost_stop(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	charge();
	WRITE_ONCE(lender, NULL);
	raw_spin_unlock_irqrestore(&lock, flags);
}

/* Also for a lender that has died. */
void cost_end(struct carveout_costs *costs)
{
	unsigned long flags;

	cost_stop();
	raw_spin_lock_irqsave(&lock, flags);
	memcpy(costs->ns, spent_ns, sizeof(spent_ns));
	memset(spent_ns, 0, sizeof(spent_ns));
	raw_spin_unlock_irqrestore(&lock, flags);
}
