// SPDX-License-Identifier: GPL-2.0-only
/* Reads the kernel's text files. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* The number that follows the name, as in /proc/vmstat and /proc/meminfo; 0 without such a line. */
uint64_t read_counter(const char *path, const char *name)
{
	size_t length = strlen(name);
	uint64_t value = 0;
	char line[256];
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) || !strchr(" :\t", line[length]))
			continue;
		value = strtoull(line + length + strspn(line + length, " :\t"), NULL, 10);
		break;
	}
	fclose(file);
	return value;
}

/* The only number in the file, in C's notation. */
uint64_t read_number(const char *path)
{
	char line[64] = "";
	FILE *file = fopen(path, "r");

	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return strtoull(line, NULL, 0);
}
