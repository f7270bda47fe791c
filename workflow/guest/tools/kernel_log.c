// SPDX-License-Identifier: GPL-2.0-only
/* carveout kernel-log: the last line of the kernel's log, since then, that warns or is worse. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define WARNING 4
#define MOST_LETTERS 200

/* What a shell evaluates between single quotes, and what a record may hold. */
static void print_line(const char *text)
{
	int i;

	printf("kernel_log='");
	for (i = 0; i < MOST_LETTERS && text[i] && text[i] != '\n'; i++) {
		bool plain = text[i] >= ' ' && text[i] <= '~' && !strchr("'\"\\", text[i]);

		putchar(plain ? text[i] : '?');
	}
	printf("'\n");
}

/* A record of /dev/kmsg: LEVEL,SEQUENCE,MICROSECONDS,FLAGS;TEXT. Returns the text, or NULL. */
static const char *warning_since(const char *record, uint64_t since_ns)
{
	unsigned long long level, us;

	if (sscanf(record, "%llu,%*u,%llu", &level, &us) != 2)
		return NULL;
	if ((level & 7) > WARNING || us < since_ns / 1000)
		return NULL;
	record = strchr(record, ';');
	return record ? record + 1 : NULL;
}

int run_kernel_log(int count, char **arguments)
{
	static char record[8192], last[sizeof(record)];
	const char *text;
	uint64_t since_ns;
	ssize_t length;
	int log;

	if (count != 1)
		return usage("kernel-log SINCE_NS");
	since_ns = parse_number("SINCE_NS", arguments[0]);
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (log < 0)
		die("open /dev/kmsg");
	/* EPIPE: what came next was overwritten meanwhile, and the one after it is read. */
	while ((length = read(log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[length > 0 ? length : 0] = '\0';
		text = warning_since(record, since_ns);
		if (text)
			memcpy(last, text, strlen(text) + 1);
	}
	close(log);
	print_line(last);
	return DONE;
}
