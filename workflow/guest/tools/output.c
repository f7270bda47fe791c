// SPDX-License-Identifier: GPL-2.0-only
/* Prints what a shell evaluates. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

void print_number(const char *name, uint64_t value)
{
	printf("%s=%llu\n", name, (unsigned long long)value);
}

/* For the errnos that the module gives by itself, and that are no errno of the kernel's. */
void name_reason(struct cost *cost, const struct reason *reasons, size_t count)
{
	size_t i;

	for (i = 0; cost->error && !cost->kernel && i < count; i++) {
		if (reasons[i].error == cost->error)
			cost->reason = reasons[i].word;
	}
}

static const char * const reason_words[] = {
	[CARVEOUT_NO_MEMORY] = "no_memory",
	[CARVEOUT_LINUX_HAS_IT] = "linux_has_it",
	[CARVEOUT_RESERVED_MEMORY] = "reserved_memory",
	[CARVEOUT_LINUX_LACKS_IT] = "linux_lacks_it",
	[CARVEOUT_NOT_ONLINE] = "not_online",
};

/* Where the kernel was asked and refused, the word is its own. The reason is carveout's, or 0. */
void name_refusal(struct cost *cost, uint32_t kernel_error, uint32_t reason)
{
	if (!cost->error)
		return;
	if (kernel_error) {
		cost->kernel = true;
		cost->error = kernel_error;
	} else if (reason) {
		cost->reason = reason_words[reason];
	}
}

/* Of memory that is mapped by memremap(), which says NULL, whatever went wrong. */
void name_unmapped(struct cost *cost)
{
	if (cost->error != ENOMEM || cost->kernel || cost->reason)
		return;
	cost->kernel = true;
	cost->reason = "not_mapped";
}

const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "unknown_errno";
}

/* The errno is the kernel's own; where it gave none, and where carveout refuses, it is a reason. */
static void print_refusal(const struct cost *cost)
{
	bool has_errno = cost->kernel && !cost->reason;

	printf("refused_by=%s\n", cost->kernel ? "kernel" : "carveout");
	printf("errno=%s\n", has_errno ? error_name(cost->error) : "");
	if (!has_errno)
		printf("reason=%s\n", cost->reason ? cost->reason : error_name(cost->error));
}

/* Returns the exit status that goes with it. */
int print_cost(const struct cost *cost)
{
	const __u64 *ns = cost->costs.ns;

	print_number("search_ns", ns[CARVEOUT_COST_SEARCH]);
	print_number("migrate_ns", ns[CARVEOUT_COST_MIGRATE]);
	print_number("reclaim_ns", ns[CARVEOUT_COST_RECLAIM]);
	print_number("map_ns", ns[CARVEOUT_COST_MAP]);
	print_number("content_ns", ns[CARVEOUT_COST_CONTENT]);
	print_number("rest_ns", ns[CARVEOUT_COST_REST] + cost->ns);
	print_number("cleared_pages", cost->cleared_pages);
	if (cost->error)
		print_refusal(cost);
	return cost->error ? REFUSED : DONE;
}
