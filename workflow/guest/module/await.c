// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for a driver that acts on an event from outside: until a work item of its own, by the name
 * of its function, has ended and is not queued again. No driver has to cooperate, and nobody
 * polls. What the worker does meanwhile is the cost.
 *
 * A driver may do what is asked of it in steps, each of them an item that queues itself again, now
 * or by a timer. One that cannot go on sleeps and tries again, for ever (virtio_balloon): when two
 * items in a row have slept, and the second moved no page in or out of a balloon, it has stalled
 * and is no longer waited for. Neither sleep nor timer is a cost.
 */

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "costs.h"

enum { NOTHING, WAITING, RUNNING, BETWEEN, ENDED };

static atomic_t state = ATOMIC_INIT(NOTHING);
static char name[sizeof_field(struct carveout_await, work)];
static struct task_struct *worker;	/* compared, never followed */
static struct work_struct *item;	/* a part of its device, which outlives the wait */
static unsigned long moved_before;	/* when the item began */
static bool slept, slept_before;
static bool is_unfinished, is_stalled;
static DECLARE_COMPLETION(end);

int await_prepare(const char *work)
{
	int before = atomic_read(&state);

	/* Someone waits; or was killed while he did, and what he waited for still runs. */
	if (before != NOTHING && before != ENDED)
		return -EBUSY;
	if (!*work || strnlen(work, sizeof(name)) == sizeof(name))
		return -EINVAL;
	strscpy(name, work, sizeof(name));
	slept = false;
	is_unfinished = false;
	is_stalled = false;
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

/* Pages that went into a balloon or came out of it, ever. */
static unsigned long moved_pages(void)
{
	unsigned long pages = 0;
#ifdef CONFIG_MEMORY_BALLOON
	int cpu;

	for_each_online_cpu(cpu) {
		const struct vm_event_state *events = &per_cpu(vm_event_states, cpu);

		pages += events->event[BALLOON_INFLATE] + events->event[BALLOON_DEFLATE];
	}
#endif
	return pages;
}

static bool begins(struct work_struct *work)
{
	switch (atomic_read_acquire(&state)) {
	case WAITING:
		return is_awaited(READ_ONCE(work->func)) &&
		       atomic_cmpxchg(&state, WAITING, RUNNING) == WAITING;
	case BETWEEN:
		return work == item && atomic_cmpxchg(&state, BETWEEN, RUNNING) == BETWEEN;
	}
	return false;
}

void await_started(struct work_struct *work)
{
	if (!begins(work))
		return;
	item = work;
	moved_before = moved_pages();
	slept_before = slept;
	slept = false;
	WRITE_ONCE(worker, current);
	cost_take_over();
}

static bool is_worker(void)
{
	return atomic_read(&state) == RUNNING && READ_ONCE(worker) == current;
}

/* Whether it is the worker that now goes to sleep. */
bool await_sleeps(void)
{
	if (!is_worker())
		return false;
	slept = true;
	return true;
}

/* Of an item that is pending: for a worker, and not for a timer. */
static bool is_queued(struct work_struct *work)
{
	return *work_data_bits(work) & WORK_STRUCT_PWQ;
}

void await_ended(void)
{
	if (!is_worker())
		return;
	WRITE_ONCE(worker, NULL);
	is_unfinished = work_pending(item);
	is_stalled = is_unfinished && slept_before && slept && moved_pages() == moved_before;
	if (is_unfinished && !is_stalled) {
		if (!is_queued(item))
			cost_stop();
		atomic_set(&state, BETWEEN);
		return;
	}
	cost_stop();
	atomic_set(&state, ENDED);
	complete(&end);
}

/* Whoever is late is let go between two items, not in the midst of one. */
static long wait_for_end(u64 limit_ns)
{
	unsigned long limit = limit_ns ? nsecs_to_jiffies(limit_ns) : MAX_SCHEDULE_TIMEOUT;
	long ret;

	do {
		ret = wait_for_completion_killable_timeout(&end, limit);
		limit = 1;
	} while (!ret && atomic_cmpxchg(&state, BETWEEN, ENDED) != BETWEEN);
	return ret < 0 ? ret : 1;
}

/* The limit is for the beginning: what has begun ends by itself, or queues itself again. */
static long await_wait(const struct carveout_await *await)
{
	long ret = wait_for_completion_killable_timeout(&end, nsecs_to_jiffies(await->limit_ns));

	if (ret || atomic_cmpxchg(&state, WAITING, NOTHING) == WAITING)
		return ret;
	return wait_for_end(await->end_limit_ns);
}

/* Whose item is running cannot be forgotten. */
static void give_up(void)
{
	atomic_cmpxchg(&state, WAITING, NOTHING);
	atomic_cmpxchg(&state, BETWEEN, NOTHING);
}

int await_end(struct carveout_await *await)
{
	long ret = await_wait(await);

	if (ret < 0) {
		give_up();
		return -EINTR;
	}
	await->found = ret > 0;
	await->unfinished = is_unfinished;
	await->stalled = is_stalled;
	cost_end(&await->costs);
	return 0;
}

/* Nobody is asked for anything: until the item begins, there is no cost. */
int await_work(struct carveout_await *await)
{
	int ret = await_prepare(await->work);

	if (ret)
		return ret;
	await_begin();
	cost_stop();
	return await_end(await);
}
