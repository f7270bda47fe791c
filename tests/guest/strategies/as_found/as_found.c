// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints what /proc/pagetypeinfo and /proc/buddyinfo say before and after one request to the kernel
 * module, without any other system call in between.
 *
 * usage: as_found scribble|movable|unmovable
 *
 * The request is made twice, and the second is looked at: the first leaves the per-CPU lists empty,
 * which those files do not show.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "carveout_uapi.h"

#define TEXT_BYTES 16384

static char texts[2][TEXT_BYTES];

static int append(char *text, size_t used, int file)
{
	ssize_t got;

	while ((got = pread(file, text + used, TEXT_BYTES - 1 - used, 0)) < 0)
		return -1;
	text[used + got] = 0;
	return used + got;
}

static int request(int device, const char *what)
{
	struct carveout_scribble scribble = { .seed = 1 };
	struct carveout_reuse reuse = { .movable = !strcmp(what, "movable") };

	if (!strcmp(what, "scribble"))
		return ioctl(device, CARVEOUT_IOC_SCRIBBLE, &scribble);
	return ioctl(device, CARVEOUT_IOC_REUSE, &reuse);
}

int main(int argc, char **argv)
{
	int types = open("/proc/pagetypeinfo", O_RDONLY);
	int device = open("/dev/" CARVEOUT_DEVICE, O_RDWR);
	int i;

	if (argc != 2 || types < 0 || device < 0)
		return 1;
	memset(texts, 1, sizeof(texts));
	if (request(device, argv[1]) || append(texts[0], 0, types) < 0 ||
	    append(texts[1], 0, types) < 0 || request(device, argv[1]) ||
	    append(texts[0], 0, types) < 0 || request(device, argv[1]) ||
	    append(texts[1], 0, types) < 0)
		return 1;
	for (i = 0; i < 2; i++)
		printf("as_found: %s %s\n%sas_found: end\n", argv[1], i ? "after" : "before", texts[i]);
	return 0;
}
