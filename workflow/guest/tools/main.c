// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout: everything in the guest that a shell cannot do. One subcommand, one operation.
 *
 * Operations print name=value lines for the shell to evaluate; exit status 0 = done,
 * 1 = the kernel refused, 2 = wrong use.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct {
	const char *name;
	subcommand_fn *run;
} subcommands[] = {
	{ "absent-baseline", run_absent_baseline },
	{ "add-memory", run_add_memory },
	{ "await", run_await },
	{ "blocker", run_blocker },
	{ "census", run_census },
	{ "entropy", run_entropy },
	{ "fill", run_fill },
	{ "forget", run_forget },
	{ "give-back", run_give_back },
	{ "history", run_history },
	{ "kernel-log", run_kernel_log },
	{ "lend", run_lend },
	{ "lose", run_lose },
	{ "pattern", run_pattern },
	{ "pause", run_pause },
	{ "poke", run_poke },
	{ "reuse", run_reuse },
	{ "scribble", run_scribble },
	{ "unmovable", run_unmovable },
	{ "vm", run_vm },
	{ "watchdog", run_watchdog },
	{ "write", run_write },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(*subcommands))

static int usage_of_all(void)
{
	size_t i;

	fputs("carveout: wanted one of these subcommands:", stderr);
	for (i = 0; i < SUBCOMMANDS; i++)
		fprintf(stderr, " %s", subcommands[i].name);
	fputc('\n', stderr);
	return USAGE;
}

/* What is freed waits on lists of the CPU that freed it: all operations run on one. */
static void stay_on_first_cpu(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		die("stay on CPU 0");
}

int main(int count, char **arguments)
{
	size_t i;

	for (i = 0; count > 1 && i < SUBCOMMANDS; i++) {
		if (strcmp(arguments[1], subcommands[i].name))
			continue;
		stay_on_first_cpu();
		return subcommands[i].run(count - 2, arguments + 2);
	}
	return usage_of_all();
}
