// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout write: one timed write to a file of the kernel's; with CARVEOUT_STARVE in the
 * environment, in a host that has no memory free meanwhile. It may have a time limit.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool.h"

static void starve(struct carveout_starve *starve, bool begin)
{
	starve->begin = begin;
	if (ioctl(device_open(), CARVEOUT_IOC_STARVE, starve) < 0)
		die("have the host without free memory");
}

/* While the host starves, nothing is done that could need a page. */
static void write_timed(int file, const char *value, struct cost *cost)
{
	struct carveout_starve hunger = {};
	bool starves = getenv("CARVEOUT_STARVE");

	if (starves)
		starve(&hunger, true);
	cost_begin(CARVEOUT_COST_REST);
	if (write(file, value, strlen(value)) < 0)
		cost->error = errno;
	cost_end(cost);
	if (!starves)
		return;
	starve(&hunger, false);
	print_number("filled_bytes", hunger.held_bytes);
	print_number("left_bytes", hunger.left_bytes);
}

int run_write(int count, char **arguments)
{
	struct cost cost = { .kernel = true };
	uint64_t limit_s;
	int file;

	if (count != 2 && count != 3)
		return usage("write PATH VALUE [LIMIT_S]");
	limit_s = count == 3 ? parse_number("LIMIT_S", arguments[2]) : 0;
	file = open(arguments[0], O_WRONLY);
	if (file < 0) {
		cost.error = errno;
		return print_cost(&cost);
	}
	set_limit(limit_s);
	write_timed(file, arguments[1], &cost);
	set_limit(0);
	return print_cost(&cost);
}
