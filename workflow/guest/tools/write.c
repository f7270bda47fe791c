// SPDX-License-Identifier: GPL-2.0-only
/* carveout write: one timed write to a file of the kernel's. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

int run_write(int count, char **arguments)
{
	struct cost cost = { .kernel = true };
	int file;

	if (count != 2)
		return usage("write PATH VALUE");
	file = open(arguments[0], O_WRONLY);
	if (file < 0) {
		cost.error = errno;
		return print_cost(&cost);
	}
	cost_begin(CARVEOUT_COST_REST);
	if (write(file, arguments[1], strlen(arguments[1])) < 0)
		cost.error = errno;
	cost_end(&cost);
	return print_cost(&cost);
}
