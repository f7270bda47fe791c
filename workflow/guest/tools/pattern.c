// SPDX-License-Identifier: GPL-2.0-only
/* carveout pattern, scribble, poke, lose: is the lent memory there, and ours alone? */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* Clearing is the same work whoever lends; it comes first, and its time is told. */
static int write_pattern(struct carveout_pattern *pattern)
{
	struct carveout_zero zero = {};
	struct cost cost = device_request(CARVEOUT_IOC_ZERO, &zero);

	print_number("zero_ns", zero.ns);
	print_number("zero_pages", zero.pages);
	if (!cost.error)
		cost = device_request(CARVEOUT_IOC_PATTERN_WRITE, pattern);
	return print_cost(&cost);
}

static int check_pattern(struct carveout_pattern *pattern)
{
	struct cost cost = device_request(CARVEOUT_IOC_PATTERN_CHECK, pattern);

	print_number("pages_checked", pattern->pages_checked);
	print_number("pages_bad", pattern->pages_bad);
	print_number("pages_overlapping", pattern->pages_overlapping);
	print_number("pages_free", pattern->pages_free);
	return print_cost(&cost);
}

int run_pattern(int count, char **arguments)
{
	struct carveout_pattern pattern = {};

	if (count != 2)
		return usage("pattern write|check SEED");
	pattern.seed = parse_number("SEED", arguments[1]);
	if (!strcmp(arguments[0], "write"))
		return write_pattern(&pattern);
	if (!strcmp(arguments[0], "check"))
		return check_pattern(&pattern);
	return usage("pattern write|check SEED");
}

static struct cost compact(void)
{
	static const char path[] = "/proc/sys/vm/compact_memory";
	struct cost cost = {};
	int file = open(path, O_WRONLY);

	if (file < 0)
		die(path);
	if (write(file, "1", 1) != 1)
		cost.error = errno;
	close(file);
	return cost;
}

/* Compaction writes to free memory by itself: into the frames that it moves pages to. */
int run_scribble(int count, char **arguments)
{
	struct carveout_scribble scribble = {};
	struct cost cost;

	if (!count || count > 2 || (count == 2 && strcmp(arguments[1], "reclaim")))
		return usage("scribble SEED [reclaim]");
	scribble.seed = parse_number("SEED", arguments[0]);
	scribble.reclaim = count == 2;
	cost = device_request(CARVEOUT_IOC_SCRIBBLE, &scribble);
	if (!cost.error && scribble.reclaim)
		cost = compact();
	print_number("scribbled_bytes", scribble.bytes);
	return print_cost(&cost);
}

static int run_on_page(unsigned long request, int count, char **arguments, const char *wanted)
{
	struct cost cost;
	__u64 index;

	if (count != 1)
		return usage(wanted);
	index = parse_number("N", arguments[0]);
	cost = device_request(request, &index);
	return print_cost(&cost);
}

int run_poke(int count, char **arguments)
{
	return run_on_page(CARVEOUT_IOC_POKE, count, arguments, "poke N");
}

int run_lose(int count, char **arguments)
{
	return run_on_page(CARVEOUT_IOC_LOSE, count, arguments, "lose N");
}
