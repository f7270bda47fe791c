// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout pause: stops the whole machine at this instruction. It goes on when the runner says so.
 * carveout pause await WORK LIMIT_NS: and waits until a work item of that function, begun since, is
 * done and does not come again; what it did meanwhile is the cost.
 * carveout await WORK LIMIT_NS END_LIMIT_NS: the same without a pause.
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

static int refused_by_driver(const char *reason)
{
	printf("refused_by=driver\nreason=%s\n", reason);
	return REFUSED;
}

static int await_by(unsigned long request, struct carveout_await *await)
{
	struct cost cost = device_request(request, await);
	int status;

	cost.ns = 0;	/* the pause itself is in it, and the wait */
	cost.costs = await->costs;
	/* It did nothing: there is nothing to charge for. */
	if (!cost.error && !await->found)
		return refused_by_driver("not_begun");
	status = print_cost(&cost);
	if (await->stalled)
		return refused_by_driver("no_progress");
	return await->unfinished ? refused_by_driver("late") : status;
}

static int pause_and_await(const char *work, uint64_t limit_ns)
{
	struct carveout_await await = { .limit_ns = limit_ns };

	if (strlen(work) >= sizeof(await.work))
		return usage("pause await WORK LIMIT_NS");
	memcpy(await.work, work, strlen(work));
	drain_records();
	return await_by(CARVEOUT_IOC_PAUSE_AND_AWAIT, &await);
}

int run_await(int count, char **arguments)
{
	struct carveout_await await = {};

	if (count != 3 || strlen(arguments[0]) >= sizeof(await.work))
		return usage("await WORK LIMIT_NS END_LIMIT_NS");
	memcpy(await.work, arguments[0], strlen(arguments[0]));
	await.limit_ns = parse_number("LIMIT_NS", arguments[1]);
	await.end_limit_ns = parse_number("END_LIMIT_NS", arguments[2]);
	return await_by(CARVEOUT_IOC_AWAIT, &await);
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
