// SPDX-License-Identifier: GPL-2.0-only
/* carveout add-memory, carveout lend blocks: memory blocks that come and go. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "tool.h"

#define MOST_ERRORS 16

/* How often the kernel refused a block with which errno, in the order in which they came. */
struct refusals {
	struct {
		int error;
		unsigned int count;
	} seen[MOST_ERRORS];
	size_t errors;
};

static void count_refusal(struct refusals *refusals, int error)
{
	size_t i;

	for (i = 0; i < refusals->errors && refusals->seen[i].error != error; i++)
		;
	if (i == MOST_ERRORS)
		return;
	if (i == refusals->errors)
		refusals->seen[refusals->errors++].error = error;
	refusals->seen[i].count++;
}

/* ERRNO:COUNT,... */
static void print_refusals(const struct refusals *refusals)
{
	size_t i;

	printf("refusals=");
	for (i = 0; i < refusals->errors; i++)
		printf("%s%s:%u", i ? "," : "", error_name(refusals->seen[i].error),
		       refusals->seen[i].count);
	putchar('\n');
}

static const char * const reason_words[] = {
	[CARVEOUT_NO_MEMORY] = "no_memory",
	[CARVEOUT_LINUX_HAS_IT] = "linux_has_it",
	[CARVEOUT_RESERVED_MEMORY] = "reserved_memory",
	[CARVEOUT_LINUX_LACKS_IT] = "linux_lacks_it",
	[CARVEOUT_NOT_ONLINE] = "not_online",
};

static void name_refusal(struct cost *cost, const struct carveout_blocks *blocks)
{
	if (blocks->kernel_error) {
		cost->kernel = true;
		cost->error = blocks->kernel_error;
	} else if (blocks->reason) {
		cost->reason = reason_words[blocks->reason];
	} else if (cost->error == ENOMEM) {
		cost->kernel = true;
		cost->reason = "not_mapped";
	}
}

static bool parse_memmap(const char *text, __u32 *memmap_on_memory)
{
	*memmap_on_memory = !strcmp(text, "itself");
	return *memmap_on_memory || !strcmp(text, "host");
}

int run_add_memory(int count, char **arguments)
{
	struct carveout_blocks blocks = {};
	struct carveout_range range;
	struct cost cost;

	if (count != 2 || !parse_memmap(arguments[1], &blocks.memmap_on_memory))
		return usage("add-memory START:BYTES host|itself");
	range = parse_range(arguments[0]);
	blocks.start = range.start;
	blocks.bytes = range.bytes;
	cost = device_operate(CARVEOUT_IOC_ADD_MEMORY, &blocks);
	name_refusal(&cost, &blocks);
	return print_cost(&cost);
}

static void interrupt(int signal)
{
	(void)signal;
}

/*
 * Linux offlines a block for as long as it takes: Documentation/admin-guide/mm/memory-hotplug.rst
 * puts a time limit to it, which is a signal.
 */
static void set_limit(uint64_t seconds)
{
	struct itimerval limit = { .it_value.tv_sec = seconds };
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
}

struct asked {
	struct carveout_range within;
	uint64_t bytes;
	uint64_t block_bytes;
	uint64_t limit_s;
	bool lowest_first;
	__u32 memmap_on_memory;
};

/* What became of it. */
struct told {
	uint64_t attempts;
	struct refusals refusals;
	struct cost refused;	/* the one that is told of all */
	char log[256];		/* the last warning of the kernel's meanwhile */
};

static uint64_t block_start(const struct asked *asked, uint64_t index)
{
	uint64_t blocks = asked->within.bytes / asked->block_bytes;

	if (!asked->lowest_first)
		index = blocks - 1 - index;
	return asked->within.start + index * asked->block_bytes;
}

static struct cost lend_block(const struct asked *asked, uint64_t start)
{
	struct carveout_blocks blocks = {
		.start = start,
		.bytes = asked->block_bytes,
		.memmap_on_memory = asked->memmap_on_memory,
	};
	struct cost cost;

	set_limit(asked->limit_s);
	cost = device_operate(CARVEOUT_IOC_LEND_BLOCK, &blocks);
	set_limit(0);
	name_refusal(&cost, &blocks);
	return cost;
}

static void add_cost(struct cost *all, const struct cost *one)
{
	size_t i;

	for (i = 0; i < CARVEOUT_COSTS; i++)
		all->costs.ns[i] += one->costs.ns[i];
}

/*
 * The first word is told, but for a veto: it is of a block without a page in its way, and so what
 * stands between the lend and one block more.
 */
static void note_refusal(struct told *told, const struct cost *cost, int log)
{
	bool first = !told->refusals.errors;

	count_refusal(&told->refusals, cost->error);
	if (!first && (told->refused.error == EPERM || cost->error != EPERM))
		return;
	told->refused = *cost;
	snprintf(told->log, sizeof(told->log), "%s", kernel_log_last_warning(log, 0));
}

/* What is gone already is not asked for. */
static struct cost lend_all(const struct asked *asked, struct told *told)
{
	uint64_t lent = 0, i, blocks = asked->within.bytes / asked->block_bytes;
	struct cost one, all = {};
	int log = kernel_log_open();

	for (i = 0; i < blocks && lent < asked->bytes; i++) {
		lseek(log, 0, SEEK_END);
		one = lend_block(asked, block_start(asked, i));
		add_cost(&all, &one);
		if (one.error == ENODEV && !one.kernel)
			continue;
		told->attempts++;
		if (one.error)
			note_refusal(told, &one, log);
		else
			lent += asked->block_bytes;
	}
	close(log);
	if (lent >= asked->bytes)
		return all;
	told->refused.costs = all.costs;
	return told->refused;
}

const char lend_blocks_usage[] =
	"lend blocks START:BYTES SIZE BLOCK host|itself highest_first|lowest_first LIMIT_S";

int lend_blocks(char **arguments)
{
	struct asked asked = {
		.within = parse_range(arguments[0]),
		.bytes = parse_number("SIZE", arguments[1]),
		.block_bytes = parse_number("BLOCK", arguments[2]),
		.lowest_first = !strcmp(arguments[4], "lowest_first"),
		.limit_s = parse_number("LIMIT_S", arguments[5]),
	};
	struct told told = { .refused = { .error = ENXIO, .reason = "no_candidate" } };
	struct cost cost;

	if (!asked.block_bytes || !parse_memmap(arguments[3], &asked.memmap_on_memory) ||
	    (!asked.lowest_first && strcmp(arguments[4], "highest_first")))
		return usage(lend_blocks_usage);
	cost = lend_all(&asked, &told);
	print_number("attempts", told.attempts);
	print_refusals(&told.refusals);
	if (cost.error)
		print_kernel_log(told.log);
	return print_cost(&cost);
}
