// SPDX-License-Identifier: GPL-2.0-only
/* carveout add-memory, carveout lend blocks: memory blocks that come and go. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
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

static struct cost ask(unsigned long request, struct carveout_blocks *blocks)
{
	struct cost cost = device_operate(request, blocks);

	name_refusal(&cost, blocks->kernel_error, blocks->reason);
	name_unmapped(&cost);
	return cost;
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
	cost = ask(CARVEOUT_IOC_ADD_MEMORY, &blocks);
	return print_cost(&cost);
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
	cost = ask(CARVEOUT_IOC_LEND_BLOCK, &blocks);
	set_limit(0);
	return cost;
}

static void add_cost(struct cost *all, const struct cost *one)
{
	size_t i;

	for (i = 0; i < CARVEOUT_COSTS; i++)
		all->costs.ns[i] += one->costs.ns[i];
}

/* The kernel's own word, by an errno: neither carveout's nor that nothing was mapped. */
static bool is_of_kernel(const struct cost *cost)
{
	return cost->kernel && !cost->reason;
}

static bool is_veto(const struct cost *cost)
{
	return is_of_kernel(cost) && cost->error == EPERM;
}

/*
 * The first word is told, but for a veto: it is of a block without a page in its way, and so what
 * stands between the lend and one block more. Any word of the kernel's goes before one of ours.
 */
static bool is_to_be_told(const struct cost *cost, const struct cost *told)
{
	if (!told->error || !is_of_kernel(told))
		return !told->error || is_of_kernel(cost);
	return is_veto(cost) && !is_veto(told);
}

static void note_refusal(struct told *told, const struct cost *cost, int log)
{
	if (is_of_kernel(cost))
		count_refusal(&told->refusals, cost->error);
	if (!is_to_be_told(cost, &told->refused))
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
	if (!told->refused.error)
		told->refused = (struct cost){ .error = ENXIO, .reason = "no_candidate" };
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
	struct told told = {};
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
