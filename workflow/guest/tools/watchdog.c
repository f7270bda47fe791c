// SPDX-License-Identifier: GPL-2.0-only
/* carveout watchdog: arms it and leaves it so. Nobody feeds it: it is the trial's time limit. */

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "tool.h"

int run_watchdog(int count, char **arguments)
{
	struct cost cost = {};
	int device, seconds;

	if (count != 1)
		return usage("watchdog SECONDS");
	seconds = parse_number("SECONDS", arguments[0]);
	device = open("/dev/watchdog", O_WRONLY);
	if (device < 0)
		die("open /dev/watchdog (is i6300esb.ko loaded?)");
	/* Closing without the letter V leaves it running. */
	if (ioctl(device, WDIOC_SETTIMEOUT, &seconds))
		cost.error = errno;
	return print_cost(&cost);
}
