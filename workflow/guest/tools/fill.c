// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout fill: a process that leaves the host no free memory. It takes anonymous memory, for
 * which the kernel drops page cache, until no more than so much is available, and holds it until it
 * is killed: by the shell, or by the kernel before anyone else.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"

#define LARGEST_BYTES (8ul << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static uint64_t available_bytes(void)
{
	struct counter available = { .name = "MemAvailable" };

	read_counters("/proc/meminfo", &available, 1);
	return 1024 * available.value;
}

/* Page by page, since a huge page would leave what is scattered. */
static bool take(uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	return memory != MAP_FAILED && !madvise(memory, bytes, MADV_NOHUGEPAGE) &&
	       !madvise(memory, bytes, MADV_POPULATE_WRITE);
}

/* In steps that end well before what shall be left. */
static uint64_t fill(uint64_t left_bytes)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE), bytes = LARGEST_BYTES, filled_bytes = 0;

	while (bytes >= page_bytes && available_bytes() > left_bytes) {
		if (available_bytes() - left_bytes < 2 * bytes && bytes > page_bytes) {
			bytes /= 2;
			continue;
		}
		if (!take(bytes))
			break;
		filled_bytes += bytes;
	}
	return filled_bytes;
}

static void die_first(void)
{
	int file = open("/proc/self/oom_score_adj", O_WRONLY);

	if (file < 0 || write(file, "1000", 4) != 4)
		die("set its oom_score_adj");
	close(file);
}

static void hold_until_killed(int report, uint64_t left_bytes)
{
	uint64_t filled_bytes;
	int null = open("/dev/null", O_RDWR);

	setsid();
	die_first();
	/* The shell that called waits for the end of its output: let go of it. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		die("open /dev/null");
	filled_bytes = fill(left_bytes);
	if (write(report, &filled_bytes, sizeof(filled_bytes)) != sizeof(filled_bytes))
		_exit(REFUSED);
	for (;;)
		pause();
}

int run_fill(int count, char **arguments)
{
	uint64_t left_bytes, filled_bytes;
	int report[2], filler;

	if (count != 1)
		return usage("fill LEFT_BYTES");
	left_bytes = parse_number("LEFT_BYTES", arguments[0]);
	if (pipe2(report, O_CLOEXEC))
		die("make a pipe");
	filler = fork();
	if (filler < 0)
		die("start the filler");
	if (!filler)
		hold_until_killed(report[1], left_bytes);
	close(report[1]);
	if (read(report[0], &filled_bytes, sizeof(filled_bytes)) != sizeof(filled_bytes))
		die("fill the memory");
	print_number("filler_pid", filler);
	print_number("filled_bytes", filled_bytes);
	print_number("left_bytes", available_bytes());
	return DONE;
}
