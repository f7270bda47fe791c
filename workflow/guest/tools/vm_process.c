// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a VM run in a process that shares this one's memory and nothing else: it can be killed, and
 * what it leaves is looked at. No tables of a VM may be left then.
 *
 * A monitor that ends in any other way has said nothing of its VM: that is no word of the kernel's.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"
#include "vm.h"

#define STACK_BYTES 65536
#define LOOK_NS 100000		/* from one look at a VM that shall be killed to the next */

static int monitor_process(void *data)
{
	vm_monitor(data);
	_exit(DONE);
}

static uint64_t count_tables(void)
{
	uint64_t tables = 0;

	if (device_request(CARVEOUT_IOC_VM_TABLES, &tables).error)
		die("count stage-2 tables");
	return tables;
}

/* Bits that the kernel sets for what went wrong, and never clears. */
static uint64_t read_taint(void)
{
	char text[32] = "";
	int file = open("/proc/sys/kernel/tainted", O_RDONLY);

	if (file < 0 || read(file, text, sizeof(text) - 1) <= 0)
		die("read /proc/sys/kernel/tainted");
	close(file);
	return strtoull(text, NULL, 10);
}

/*
 * While it sleeps, the VM's process goes on; it is wherever the kernel then took it off its CPU.
 * False where there was nobody to kill.
 */
static bool kill_while_inside(pid_t monitor, struct vm_shared *shared)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	siginfo_t ended = {};

	do {
		nanosleep(&look, NULL);
		if (waitid(P_PID, monitor, &ended, WEXITED | WNOHANG | WNOWAIT) || ended.si_pid)
			return false;
	} while (!__atomic_load_n(&shared->inside, __ATOMIC_RELAXED));
	shared->order.report.tables_counted = count_tables();
	return !kill(monitor, SIGKILL);
}

void vm_serve(struct carveout_order *order, const struct vm_memory *memory)
{
	static max_align_t stack[STACK_BYTES / sizeof(max_align_t)];
	static struct vm_shared shared;
	uint64_t tables = count_tables(), taint = read_taint();
	pid_t monitor;
	bool shall_die = false;
	int status;

	order->report = (struct carveout_vm_report){ .way = CARVEOUT_VM_WAYS };
	shared = (struct vm_shared){ .order = *order, .memory = memory };
	monitor = clone(monitor_process, (char *)stack + STACK_BYTES, CLONE_VM | SIGCHLD, &shared);
	if (monitor < 0)
		die("start a VM's monitor");
	if (order->kind == CARVEOUT_ORDER_KILL_VM) {
		shall_die = kill_while_inside(monitor, &shared);
		shared.order.report.tables_counted -= tables;
	}
	if (waitpid(monitor, &status, 0) != monitor)
		die("wait for a VM's monitor");
	shared.order.report.killed = shall_die && WIFSIGNALED(status) &&
				     WTERMSIG(status) == SIGKILL;
	shared.order.report.failed = !shared.order.report.killed &&
				     !(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
	vm_unmap_cpu_state(&shared);
	shared.order.report.tables_left = count_tables() - tables;
	shared.order.report.tainted = read_taint() != taint;
	if (!memory->held)
		vm_unmap_pieces(memory);
	order->report = shared.order.report;
}
