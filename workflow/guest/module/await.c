// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for a driver that acts on an event from outside: for the end of a work item of its own,
 * by the name of its function. No driver has to cooperate, and nobody polls. What the worker does
 * meanwhile is the cost.
 */

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "costs.h"

enum { NOTHING, WAITING, RUNNING, ENDED };

static atomic_t state = ATOMIC_INIT(NOTHING);
static char name[sizeof_field(struct carveout_await, work)];
static struct task_struct *worker;	/* compared, never followed */
static DECLARE_COMPLETION(end);

int await_prepare(const char *work)
{
	/* Someone was killed while he waited, and what he waited for still runs. */
	if (atomic_read(&state) == RUNNING)
		return -EBUSY;
	if (!*work || strnlen(work, sizeof(name)) == sizeof(name))
		return -EINVAL;
	strscpy(name, work, sizeof(name));
	reinit_completion(&end);
	return 0;
}

/* A work item that began before this instant is not it. Interrupts may be off. */
void await_begin(void)
{
	cost_begin(CARVEOUT_COST_REST);
	atomic_set_release(&state, WAITING);
}

/* A module's function is followed by the module's name in brackets. */
static bool is_awaited(work_func_t function)
{
	char symbol[KSYM_SYMBOL_LEN];

	snprintf(symbol, sizeof(symbol), "%ps", function);
	symbol[strcspn(symbol, " ")] = '\0';
	return !strcmp(symbol, name);
}

void await_started(struct work_struct *work)
{
	if (atomic_read_acquire(&state) != WAITING || !is_awaited(READ_ONCE(work->func)))
		return;
	if (atomic_cmpxchg(&state, WAITING, RUNNING) != WAITING)
		return;
	WRITE_ONCE(worker, current);
	cost_take_over();
}

void await_ended(void)
{
	if (atomic_read(&state) != RUNNING || READ_ONCE(worker) != current)
		return;
	cost_stop();
	WRITE_ONCE(worker, NULL);
	atomic_set(&state, ENDED);
	complete(&end);
}

/* The limit is for the beginning: what has begun ends by itself. */
static long await_wait(u64 limit_ns)
{
	long ret = wait_for_completion_killable_timeout(&end, nsecs_to_jiffies(limit_ns));

	if (ret || atomic_cmpxchg(&state, WAITING, NOTHING) == WAITING)
		return ret;
	return wait_for_completion_killable(&end) ?: 1;
}

int await_end(struct carveout_await *await)
{
	long ret = await_wait(await->limit_ns);

	if (ret < 0) {
		atomic_cmpxchg(&state, WAITING, NOTHING);
		return -EINTR;
	}
	await->found = ret > 0;
	cost_end(&await->costs);
	return 0;
}
