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
void print_kernel_log(const char *text)
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

int kernel_log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (log < 0)
		die("open /dev/kmsg");
	return log;
}

/* Reads on to the end; the text stays until the next call, and is empty where nothing warned. */
const char *kernel_log_last_warning(int log, uint64_t since_ns)
{
	static char record[8192], last[sizeof(record)];
	const char *text;
	ssize_t length;

	last[0] = '\0';
	/* EPIPE: what came next was overwritten meanwhile, and the one after it is read. */
	while ((length = read(log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[length > 0 ? length : 0] = '\0';
		text = warning_since(record, since_ns);
		if (text)
			memcpy(last, text, strlen(text) + 1);
	}
	return last;
}

int run_kernel_log(int count, char **arguments)
{
	int log;

	if (count != 1)
		return usage("kernel-log SINCE_NS");
	log = kernel_log_open();
	print_kernel_log(kernel_log_last_warning(log, parse_number("SINCE_NS", arguments[0])));
	close(log);
	return DONE;
}
