// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints what /proc/pagetypeinfo says before and after a request to the kernel module, without any
 * other system call in between.
 *
 * usage: as_found scribble|movable|unmovable
 *
 * The request is made again and again. The first one finds pages on per-CPU lists, which the file
 * does not show, and leaves those lists empty: free blocks can be compared from then on.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "carveout_uapi.h"

#define TEXT_BYTES 16384

static const char * const when[] = { "first", "before", "after" };
static char texts[3][TEXT_BYTES];

static int read_text(char *text, int file)
{
	ssize_t got = pread(file, text, TEXT_BYTES - 1, 0);

	if (got < 0)
		return -1;
	text[got] = 0;
	return 0;
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
	char unused[TEXT_BYTES];
	int i;

	if (argc != 2 || types < 0 || device < 0)
		return 1;
	memset(texts, 1, sizeof(texts));
	/* Reading takes memory, too, the first time. */
	if (read_text(unused, types))
		return 1;
	for (i = 0; i < 3; i++) {
		if (read_text(texts[i], types) || request(device, argv[1]))
			return 1;
	}
	for (i = 0; i < 3; i++)
		printf("as_found: %s %s\n%sas_found: end\n", argv[1], when[i], texts[i]);
	return 0;
}
