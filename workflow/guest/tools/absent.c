// SPDX-License-Identifier: GPL-2.0-only
/* carveout absent-baseline, carveout forget: for memory that leaves and returns by a driver. */

#include "tool.h"

int run_absent_baseline(int count, char **arguments)
{
	struct carveout_absent absent = {};
	struct cost cost;

	if (!count)
		return usage("absent-baseline START:BYTES...");
	parse_ranges(&absent.ranges, count, arguments);
	cost = device_operate(CARVEOUT_IOC_ABSENT_BASELINE, &absent);
	print_number("absent_bytes", absent.bytes);
	return print_cost(&cost);
}

int run_forget(int count, char **arguments)
{
	struct cost cost;
	__u64 bytes = 0;

	(void)arguments;
	if (count)
		return usage("forget");
	cost = device_operate(CARVEOUT_IOC_FORGET, &bytes);
	print_number("returned_bytes", bytes);
	return print_cost(&cost);
}
