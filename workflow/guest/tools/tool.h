/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the guest's tool share. */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carveout_uapi.h"

/* Exit statuses of every subcommand. */
enum {
	DONE,
	REFUSED,	/* refused_by=, reason= and errno= say by whom, and why */
	USAGE
};

/* What an operation took, and the errno of a refusal or 0. */
struct cost {
	uint64_t ns;		/* of which no more is known than that it passed */
	int error;
	bool kernel;		/* the kernel refused, not carveout */
	const char *reason;	/* of a refusal, where the kernel gave none; or NULL */
	uint64_t cleared_pages;	/* by the page allocator, unseen */
	struct carveout_costs costs;
};

/* A word for an errno of the module's own. */
struct reason {
	int error;
	const char *word;
};

/* Subcommands get the arguments after their name and return an exit status. */
typedef int subcommand_fn(int count, char **arguments);

subcommand_fn run_absent_baseline, run_add_memory, run_await, run_blocker, run_census,
	run_entropy, run_fill, run_forget, run_give_back, run_history, run_kernel_log, run_lend,
	run_lose, run_pattern, run_pause, run_poke, run_reuse, run_scribble, run_unmovable,
	run_vm, run_watchdog, run_write;

/* arguments.c: they end the program with a message when the text makes no sense */
int usage(const char *wanted);
uint64_t parse_number(const char *name, const char *text);
struct carveout_range parse_range(const char *text);
void parse_ranges(struct carveout_ranges *ranges, int count, char **arguments);
uint64_t ranges_bytes(const struct carveout_ranges *ranges);

/* blocker.c */
int parse_area(const char *text, uint32_t *area);
void print_blocker(struct carveout_blocker *blocker);

/* device.c */
uint64_t now_ns(void);
int device_open(void);
int device_reopen(void);
struct cost device_request(unsigned long request, void *argument);
void cost_begin(enum carveout_cost base);
void cost_end(struct cost *cost);
struct cost device_operate(unsigned long request, void *argument);
void set_limit(uint64_t seconds);
void die(const char *what);

/* output.c */
void print_number(const char *name, uint64_t value);
const char *error_name(int error);
int print_cost(const struct cost *cost);
void name_reason(struct cost *cost, const struct reason *reasons, size_t count);
void name_refusal(struct cost *cost, uint32_t kernel_error, uint32_t reason);
void name_unmapped(struct cost *cost);

/* blocks.c: takes as many arguments as the table of lend.c says */
int lend_blocks(char **arguments);
extern const char lend_blocks_usage[];

/* kernel_log.c */
int kernel_log_open(void);
const char *kernel_log_last_warning(int log, uint64_t since_ns);
void print_kernel_log(const char *text);

/* holder.c */
struct cost holder_start(uint64_t bytes, uint64_t page_bytes);
struct cost holder_start_device(const char *path, uint64_t offset, uint64_t bytes,
				uint64_t page_bytes);

/* text.c: files of the kernel */
struct counter {
	const char *name;
	uint64_t value;
};

bool counter_in_line(const char *line, const char *name, uint64_t *value);
void read_counters(const char *path, struct counter *counters, size_t count);

#endif
