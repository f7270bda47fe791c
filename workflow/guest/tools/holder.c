// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that holds memory as a virtual machine monitor would: it maps ordinary or huge
 * pages, or a device DAX, touches them all, and keeps them until the module tells it to end, which
 * knows it by its open device. When it is told to, it runs a virtual machine in them.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"
#include "vm.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Where a VM has what is held, but as far into a block as it is here. */
#define HELD_IPA 0x40000000ULL
#define STAGE2_BLOCK_BYTES 0x40000000ULL

#define HUGE_SHIFT 26	/* of the page size's logarithm in the flags of mmap() */

/* When memory ends while it is touched, the lend is refused: nobody else has to die for it. */
static void set_oom_score(const char *score)
{
	int file = open("/proc/self/oom_score_adj", O_WRONLY);

	if (file < 0 || write(file, score, strlen(score)) < 0)
		die("set its oom_score_adj");
	close(file);
}

/* Of which memory is held: of a character device from an offset on, or of nobody. */
static const char *backing_path;
static uint64_t backing_offset;

static int mapping_flags(uint64_t page_bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (page_bytes)
		flags |= MAP_HUGETLB | (__builtin_ctzll(page_bytes) << HUGE_SHIFT);
	return flags;
}

static void *map(uint64_t bytes, uint64_t page_bytes)
{
	int file, flags = mapping_flags(page_bytes);
	void *memory;

	if (!backing_path)
		return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	file = open(backing_path, O_RDWR);
	if (file < 0)
		return MAP_FAILED;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, backing_offset);
	/* The mapping has the device, and lets go of it with the memory. */
	close(file);
	return memory;
}

/*
 * MADV_POPULATE_WRITE takes the same page faults as touching would, and answers with an errno
 * where a touch is answered with SIGBUS. Where transparent huge pages were not to be had at once,
 * they are asked for once more; where there shall be none, the kernel refuses that.
 */
static void *map_and_touch(uint64_t bytes, uint64_t page_bytes, struct cost *cost)
{
	void *memory;

	cost_begin(CARVEOUT_COST_MAP);
	memory = map(bytes, page_bytes);
	if (memory == MAP_FAILED || madvise(memory, bytes, MADV_POPULATE_WRITE))
		cost->error = errno;
	else if (!page_bytes)
		madvise(memory, bytes, MADV_COLLAPSE);
	cost_end(cost);
	cost->kernel = cost->error;
	return memory;
}

static void *hold(uint64_t bytes, uint64_t page_bytes, struct cost *cost)
{
	uint64_t unit = page_bytes ? page_bytes : (uint64_t)sysconf(_SC_PAGESIZE);
	struct carveout_mapping mapping = { .bytes = bytes };
	void *memory = map_and_touch((bytes + unit - 1) / unit * unit, page_bytes, cost);

	if (cost->error)
		return NULL;
	mapping.address = (uintptr_t)memory;
	cost->error = device_request(CARVEOUT_IOC_LEND_MAPPING, &mapping).error;
	cost->cleared_pages = mapping.single_pages;
	return memory;
}

static void run_vm_in(char *address, uint64_t bytes, struct carveout_order *order)
{
	struct vm_piece piece = {
		.ipa = HELD_IPA + (uintptr_t)address % STAGE2_BLOCK_BYTES,
		.bytes = bytes,
		.address = address,
	};
	struct vm_memory memory = { .pieces = &piece, .count = 1, .held = true };

	vm_serve(order, &memory);
	if (device_request(CARVEOUT_IOC_REPORT, &order->report).error)
		_exit(REFUSED);
}

/* Until it is told to end. */
static void obey(char *address, uint64_t bytes)
{
	struct carveout_order order = {};
	int error;

	for (;;) {
		error = device_request(CARVEOUT_IOC_HOLD, &order).error;
		if (error == EINTR)
			continue;
		if (error || order.kind == CARVEOUT_ORDER_END)
			return;
		run_vm_in(address, bytes, &order);
	}
}

/* The shell that called waits for the end of its output: let go of it. */
static void leave_shell(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		die("open /dev/null");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void holder_run(uint64_t bytes, uint64_t page_bytes, int report)
{
	struct cost cost = {};
	void *memory;

	setsid();
	set_oom_score("1000");
	device_reopen();
	memory = hold(bytes, page_bytes, &cost);
	if (!cost.error) {
		set_oom_score("-1000");
		leave_shell();
	}
	if (write(report, &cost, sizeof(cost)) != sizeof(cost) || cost.error)
		_exit(REFUSED);
	close(report);
	obey(memory, bytes);
	_exit(DONE);
}

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/*
 * Of a process that ended before it said anything, what was counted until then. Only the kernel
 * kills here; one that ended by itself has failed, and said why: that is nobody's refusal.
 */
static struct cost cost_of_dead(pid_t holder)
{
	struct cost cost = { .error = ENOMEM, .kernel = true, .reason = "oom_killed" };
	int status;

	if (waitpid(holder, &status, 0) != holder || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("have a process hold the memory");
	cost_end(&cost);
	return cost;
}

/* A page_bytes of 0 means ordinary pages. */
struct cost holder_start(uint64_t bytes, uint64_t page_bytes)
{
	struct cost cost = {};
	int report[2], holder;

	if (!bytes || (page_bytes && !is_power_of_two(page_bytes)))
		return (struct cost){ .error = EINVAL };
	device_open();
	if (pipe2(report, O_CLOEXEC))
		die("make a pipe");
	holder = fork();
	if (holder < 0)
		return (struct cost){ .error = errno };
	if (!holder) {
		close(report[0]);
		holder_run(bytes, page_bytes, report[1]);
	}
	close(report[1]);
	if (read(report[0], &cost, sizeof(cost)) != sizeof(cost))
		return cost_of_dead(holder);
	if (cost.error)
		waitpid(holder, NULL, 0);
	return cost;
}

/* From the offset on; device and mapping are made of pieces of page_bytes. */
struct cost holder_start_device(const char *path, uint64_t offset, uint64_t bytes,
				uint64_t page_bytes)
{
	backing_path = path;
	backing_offset = offset;
	return holder_start(bytes, page_bytes);
}
