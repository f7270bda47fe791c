// SPDX-License-Identifier: GPL-2.0-only
/* Talks to the kernel module. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "tool.h"

static const char device_path[] = "/dev/" CARVEOUT_DEVICE;

void die(const char *what)
{
	fprintf(stderr, "carveout: cannot %s: %s\n", what, strerror(errno));
	exit(USAGE);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Opened once; a process that the tool leaves behind does not keep the module busy. */
int device_open(void)
{
	static int device = -1;

	if (device < 0)
		device = open(device_path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		die("open /dev/" CARVEOUT_DEVICE " (is carveout.ko loaded?)");
	return device;
}

struct cost device_request(unsigned long request, void *argument)
{
	int device = device_open();
	struct cost cost = {};
	uint64_t start = now_ns();

	if (ioctl(device, request, argument) < 0)
		cost.error = errno;
	cost.ns = now_ns() - start;
	return cost;
}
