// SPDX-License-Identifier: GPL-2.0-only
/* Reads the command line. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

int usage(const char *wanted)
{
	fprintf(stderr, "carveout: wanted: carveout %s\n", wanted);
	return USAGE;
}

static void bad_argument(const char *name, const char *text, const char *wanted)
{
	fprintf(stderr, "carveout: %s is '%s', wanted %s\n", name, text, wanted);
	exit(USAGE);
}

/* Decimal, or hexadecimal with 0x. */
static uint64_t parse_until(const char *name, const char *text, const char *wanted, char **end)
{
	uint64_t value;

	errno = 0;
	value = strtoull(text, end, 0);
	if (*end == text || *text == '-' || errno)
		bad_argument(name, text, wanted);
	return value;
}

uint64_t parse_number(const char *name, const char *text)
{
	char *end;
	uint64_t value = parse_until(name, text, "a number", &end);

	if (*end)
		bad_argument(name, text, "a number");
	return value;
}

struct carveout_range parse_range(const char *text)
{
	static const char wanted[] = "START:BYTES";
	struct carveout_range range;
	char *end;

	range.start = parse_until("a range", text, wanted, &end);
	if (*end != ':')
		bad_argument("a range", text, wanted);
	range.bytes = parse_until("a range", end + 1, wanted, &end);
	if (*end)
		bad_argument("a range", text, wanted);
	return range;
}

void parse_ranges(struct carveout_ranges *ranges, int count, char **arguments)
{
	static struct carveout_range parsed[CARVEOUT_MAX_RANGES];
	int i;

	if (count > CARVEOUT_MAX_RANGES)
		bad_argument("the number of ranges", arguments[CARVEOUT_MAX_RANGES], "fewer");
	for (i = 0; i < count; i++)
		parsed[i] = parse_range(arguments[i]);
	ranges->pointer = (uintptr_t)parsed;
	ranges->count = count;
	ranges->reserved = 0;
}

uint64_t ranges_bytes(const struct carveout_ranges *ranges)
{
	const struct carveout_range *range = (const void *)(uintptr_t)ranges->pointer;
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < ranges->count; i++)
		bytes += range[i].bytes;
	return bytes;
}
