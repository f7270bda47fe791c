// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout pause: stops the whole machine at this instruction. It goes on when the runner says so.
 * carveout pause await WORK LIMIT_NS: and waits until a work item of that function, begun since, is
 * done; what passed meanwhile is the cost.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

static int pause_and_await(const char *work, uint64_t limit_ns)
{
	struct carveout_await await = { .limit_ns = limit_ns };
	struct cost cost;

	if (strlen(work) >= sizeof(await.work))
		return usage("pause await WORK LIMIT_NS");
	memcpy(await.work, work, strlen(work));
	drain_records();
	cost = device_request(CARVEOUT_IOC_PAUSE_AND_AWAIT, &await);
	cost.ns = 0;	/* the pause itself is in it */
	cost.costs = await.costs;
	/* It did nothing: there is nothing to charge for. */
	if (!cost.error && !await.found) {
		puts("refused_by=driver\nreason=not_begun");
		return REFUSED;
	}
	return print_cost(&cost);
}

int run_pause(int count, char **arguments)
{
	struct cost cost;

	if (count == 3 && !strcmp(arguments[0], "await"))
		return pause_and_await(arguments[1], parse_number("LIMIT_NS", arguments[2]));
	if (count)
		return usage("pause [await WORK LIMIT_NS]");
	drain_records();
	cost = device_request(CARVEOUT_IOC_PAUSE, NULL);
	return print_cost(&cost);
}
