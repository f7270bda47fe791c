// SPDX-License-Identifier: GPL-2.0-only
/* carveout give-back: undoes all lends, newest first. */

#include <errno.h>

#include "tool.h"

/*
 * The module's references to a holder's pages are part of the measurement, not of what is
 * measured: it says itself how long the holder took to end, or the freeing.
 */
static struct cost undo_newest(struct carveout_give_back *given)
{
	struct cost cost;

	*given = (struct carveout_give_back){};
	cost = device_request(CARVEOUT_IOC_GIVE_BACK, given);
	cost.ns = given->ns;
	name_refusal(&cost, given->kernel_error, given->reason);
	return cost;
}

int run_give_back(int count, char **arguments)
{
	struct carveout_give_back given;
	struct cost one, all = {};
	uint64_t bytes = 0;

	(void)arguments;
	if (count)
		return usage("give-back");
	for (;;) {
		one = undo_newest(&given);
		if (one.error == ENOENT)
			break;
		all.ns += one.ns;
		if (one.error && !all.error) {
			all.error = one.error;
			all.kernel = one.kernel;
			all.reason = one.reason;
		}
		/* What the kernel does not take into use is lent no more, and others may come. */
		if (one.error && !one.kernel && !one.reason)
			break;
		bytes += one.error ? 0 : given.bytes;
	}
	print_number("returned_bytes", bytes);
	return print_cost(&all);
}
