// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout pause: stops the whole machine at this instruction. It goes on when the runner says so.
 */

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "tool.h"

static const char records[] = "/dev/ttyS0";

/* What was said before the pause is read during the pause. */
static void drain_records(void)
{
	int file = open(records, O_WRONLY | O_NOCTTY);

	if (file < 0 || tcdrain(file))
		die("drain /dev/ttyS0");
	close(file);
}

int run_pause(int count, char **arguments)
{
	struct cost cost;

	(void)arguments;
	if (count)
		return usage("pause");
	drain_records();
	cost = device_request(CARVEOUT_IOC_PAUSE, NULL);
	return print_cost(&cost);
}
