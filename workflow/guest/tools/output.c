// SPDX-License-Identifier: GPL-2.0-only
/* Prints what a shell evaluates. */

#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "tool.h"

void print_number(const char *name, uint64_t value)
{
	printf("%s=%llu\n", name, (unsigned long long)value);
}

/* Returns the exit status that goes with it. */
int print_cost(const struct cost *cost)
{
	const char *word = cost->error ? strerrorname_np(cost->error) : "";

	print_number("ns", cost->ns);
	if (word)
		printf("errno=%s\n", word);
	else
		printf("errno=E%d\n", cost->error);
	return cost->error ? REFUSED : DONE;
}
