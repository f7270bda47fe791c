// SPDX-License-Identifier: GPL-2.0-only
/* Reads the kernel's text files. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Whether the line says NAME NUMBER or NAME: NUMBER, maybe indented; then the number is read. */
bool counter_in_line(const char *line, const char *name, uint64_t *value)
{
	size_t length = strlen(name);

	line += strspn(line, " ");
	if (strncmp(line, name, length) || !line[length] || !strchr(" :\t", line[length]))
		return false;
	line += length;
	*value = strtoull(line + strspn(line, " :\t"), NULL, 10);
	return true;
}

/* Fills in the values of the counters that the file has. */
void read_counters(const char *path, struct counter *counters, size_t count)
{
	char line[256];
	size_t i;
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file)) {
		for (i = 0; i < count; i++) {
			if (counter_in_line(line, counters[i].name, &counters[i].value))
				break;
		}
	}
	fclose(file);
}
