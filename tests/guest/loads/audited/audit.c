// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the host's memory once more, from the kernel's own files alone, when a census is taken:
 *
 *   audit PROGRAM ARGUMENTS...
 *
 * runs the program, stops it where its request for a census has been answered, before it does
 * anything else, and reads. All files are open and all buffers touched before, so that a reading
 * changes nothing that it reads. What was read goes to the console when the program has ended.
 *
 * A frame is counted by where it lies (the RAM of a CMA area, else ZONE_MOVABLE, else an ordinary
 * zone) and by what /proc/kpageflags says of it. This shares no code with the kernel module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel_files.h"

#define CENSUS_REQUEST 0xca00	/* type and number of the ioctl, whatever its size */
#define FRAMES_AT_ONCE 512
#define MOST_HELD 16
#define MOST_READINGS 16
#define SETTLE_NS 200000000

/* Documentation/admin-guide/mm/pagemap.rst */
#define BIT(n) (1ULL << (n))
#define UPTODATE BIT(3)
#define LRU BIT(5)
#define SLAB BIT(7)
#define BUDDY BIT(10)
#define ANON BIT(12)
#define SWAPBACKED BIT(14)
#define HUGE BIT(17)
#define NOPAGE BIT(20)
#define OFFLINE BIT(23)
#define PGTABLE BIT(26)
#define RESERVED BIT(32)

#define PRESENT BIT(63)		/* in /proc/PID/pagemap, whose low 55 bits are the frame */
#define FRAME_MASK (BIT(55) - 1)

enum kind {
	NO_PAGE, IS_BUDDY, IS_OFFLINE, IS_HUGE, IS_TABLE, IS_SLAB, IS_RESERVED, IS_USER, BARE, KINDS
};

static const char * const kind_names[] = {
	"no_page", "buddy", "offline", "huge", "table", "slab", "reserved", "user", "bare",
};

enum place { ORDINARY, MOVABLE_ZONE, CMA_AREA, PLACES };
static const char * const place_names[] = { "ordinary", "movable_zone", "cma_area" };

struct reading {
	uint64_t frames[PLACES][KINDS];
	uint64_t held[PLACES];	/* of processes that hold a lend: ordinary pages */
	uint64_t held_huge;
	struct texts before, texts;
};

static struct reading reading;
static uint64_t flags[FRAMES_AT_ONCE];
static int kpageflags;

static struct { int maps, pagemap; } holders[MOST_HELD];
static int nr_holders;

static void stop(const char *what)
{
	fprintf(stderr, "audit: %s: %s\n", what, strerror(errno));
	exit(3);
}

static enum place place_of(uint64_t frame)
{
	for (int i = 0; i < nr_cma_areas; i++) {
		if (frame - cma_areas[i].first < cma_areas[i].frames)
			return CMA_AREA;
	}
	return frame - movable_zone.first < movable_zone.frames ? MOVABLE_ZONE : ORDINARY;
}

static enum kind kind_of(uint64_t is)
{
	if (is & NOPAGE)
		return NO_PAGE;
	if (is & BUDDY)
		return IS_BUDDY;
	if (is & OFFLINE)
		return IS_OFFLINE;
	if (is & HUGE)
		return IS_HUGE;
	if (is & PGTABLE)
		return IS_TABLE;
	if (is & SLAB)
		return IS_SLAB;
	if (is & RESERVED)
		return IS_RESERVED;
	return is & (LRU | ANON | SWAPBACKED | UPTODATE) ? IS_USER : BARE;
}

/* Frames behind the end of the file are as good as those that it calls no page. */
static void count_frames(const struct range *range)
{
	uint64_t end = range->first + range->frames;

	for (uint64_t frame = range->first; frame < end; frame += FRAMES_AT_ONCE) {
		ssize_t got = pread(kpageflags, flags, sizeof(flags), frame * sizeof(*flags));
		uint64_t nr = end - frame < FRAMES_AT_ONCE ? end - frame : FRAMES_AT_ONCE;

		for (uint64_t i = 0; i < nr; i++) {
			bool there = got > 0 && i < got / sizeof(*flags);

			reading.frames[place_of(frame + i)][kind_of(there ? flags[i] : NOPAGE)]++;
		}
	}
}

static void count_mapping(int pagemap, uint64_t start, uint64_t end, bool huge)
{
	for (; start < end; start += FRAMES_AT_ONCE * page_bytes) {
		uint64_t left = (end - start) / page_bytes;
		ssize_t got = pread(pagemap, flags, sizeof(flags),
				    start / page_bytes * sizeof(*flags));

		for (uint64_t i = 0; got > 0 && i < got / sizeof(*flags) && i < left; i++) {
			if (!(flags[i] & PRESENT))
				continue;
			if (huge)
				reading.held_huge++;
			else
				reading.held[place_of(flags[i] & FRAME_MASK)]++;
		}
	}
}

/* What else a small static program has is smaller than 2 MiB. */
static void count_held(int holder)
{
	static char maps[65536];
	ssize_t got = pread(holders[holder].maps, maps, sizeof(maps) - 1, 0);

	maps[got > 0 ? got : 0] = 0;
	for (char *line = maps; line && *line; line = next_line(line)) {
		char *huge = strstr(line, "/anon_hugepage");
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx rw", &start, &end) == 2 && end - start >= 2 << 20)
			count_mapping(holders[holder].pagemap, start, end,
				      huge && huge < line + strcspn(line, "\n"));
	}
}

static void read_frames(void)
{
	memset(reading.frames, 0, sizeof(reading.frames));
	memset(reading.held, 0, sizeof(reading.held));
	reading.held_huge = 0;
	for (int i = 0; i < nr_ram; i++)
		count_frames(&ram[i]);
	for (int i = 0; i < nr_holders; i++)
		count_held(i);
}

/* Pages may leave a per-CPU list meanwhile, where flags do not show that they are free. */
static void read_all(void)
{
	for (int i = 0; i < MOST_READINGS; i++) {
		read_texts(&reading.before);
		find_movable_zone(&reading.before);
		read_frames();
		read_texts(&reading.texts);
		if (!strcmp(reading.before.text[ZONEINFO], reading.texts.text[ZONEINFO]))
			return;
	}
	fprintf(stderr, "audit: the host does not stand still\n");
}

/* A lend of ordinary or huge pages is held by a process of the tool, which has left its shell. */
static void find_holders(void)
{
	FILE *found = popen("pidof carveout", "r");
	char path[64];
	int pid;

	while (found && nr_holders < MOST_HELD && fscanf(found, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
		holders[nr_holders].maps = open(path, O_RDONLY);
		snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
		holders[nr_holders].pagemap = open(path, O_RDONLY);
		nr_holders++;
	}
	if (found)
		pclose(found);
}

static void print_reading(FILE *to)
{
	fprintf(to, "audit:");
	for (int place = 0; place < PLACES; place++) {
		for (int kind = 0; kind < KINDS; kind++)
			fprintf(to, " %s_%s=%llu", place_names[place], kind_names[kind],
				(unsigned long long)reading.frames[place][kind]);
		fprintf(to, " %s_held=%llu", place_names[place],
			(unsigned long long)reading.held[place]);
	}
	print_number("held_huge", reading.held_huge, to);
	print_texts(&reading.texts, to);
	fprintf(to, "\n");
}

static int start(char **command)
{
	int child = fork();

	if (child)
		return child;
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	execvp(command[0], command);
	_exit(127);
}

/*
 * What has just ended still gives memory back (stacks of tasks, by RCU): the program waits for that
 * where it stands.
 */
static void let_host_settle(void)
{
	const struct timespec settling = { .tv_nsec = SETTLE_NS };

	refresh_counters();
	nanosleep(&settling, NULL);
	refresh_counters();
}

static bool is_census(const struct __ptrace_syscall_info *info)
{
	return info->entry.nr == SYS_ioctl && (info->entry.args[1] & 0xffff) == CENSUS_REQUEST;
}

/* Returns the program's exit status. */
static int follow(int child)
{
	struct __ptrace_syscall_info info;
	bool asked = false;
	int status;

	while (!ptrace(PTRACE_SYSCALL, child, 0, 0) && waitpid(child, &status, 0) == child) {
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) < 0)
			stop("PTRACE_GET_SYSCALL_INFO");
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			asked = is_census(&info);
			if (asked)
				let_host_settle();
		} else if (asked) {
			read_all();
		}
	}
	stop("the program cannot be traced");
	return 4;
}

int main(int argc, char **argv)
{
	FILE *console = fopen("/dev/console", "w");
	int child, status;

	kpageflags = open("/proc/kpageflags", O_RDONLY);
	if (argc < 2 || !console || kpageflags < 0)
		stop("usage: audit PROGRAM ARGUMENTS...");
	open_kernel_files();
	find_holders();
	/* What a first reading allocates, the next one finds. */
	let_host_settle();
	read_all();
	child = start(argv + 1);
	if (waitpid(child, &status, 0) != child ||
	    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		stop("trace the program");
	status = follow(child);
	print_reading(console);
	return status;
}
