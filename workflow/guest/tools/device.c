// SPDX-License-Identifier: GPL-2.0-only
/* Talks to the kernel module. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

static const char device_path[] = "/dev/" CARVEOUT_DEVICE;

static void interrupt(int signal)
{
	(void)signal;
}

/*
 * Linux offlines a memory block for as long as it takes: its documentation puts a time limit to it
 * (Documentation/admin-guide/mm/memory-hotplug.rst), which is a signal. Of 0 s: no limit.
 */
void set_limit(uint64_t seconds)
{
	struct itimerval limit = { .it_value.tv_sec = seconds };
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
}

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

static int device = -1;

/* Opened once. A process that the tool leaves behind keeps the module busy while it lives. */
int device_open(void)
{
	if (device < 0)
		device = open(device_path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		die("open /dev/" CARVEOUT_DEVICE " (is carveout.ko loaded?)");
	return device;
}

/* For a process of its own: the module tells processes apart by their open files. */
int device_reopen(void)
{
	if (device >= 0)
		close(device);
	device = -1;
	return device_open();
}

/* From here on, the time of this process is counted, of its own work by what it goes to. */
void cost_begin(enum carveout_cost base)
{
	uint64_t number = base;

	if (ioctl(device_open(), CARVEOUT_IOC_COST_BEGIN, &number) < 0)
		die("begin counting costs");
}

void cost_end(struct cost *cost)
{
	if (ioctl(device_open(), CARVEOUT_IOC_COST_END, &cost->costs) < 0)
		die("end counting costs");
}

/* The module knows what of a request is the operation; the rest of it is not counted. */
struct cost device_operate(unsigned long request, void *argument)
{
	int device = device_open();
	struct cost cost = {};

	cost_begin(CARVEOUT_COST_UNCOUNTED);
	if (ioctl(device, request, argument) < 0)
		cost.error = errno;
	cost_end(&cost);
	return cost;
}

struct cost device_request(unsigned long request, void *argument)
{
	struct cost cost = {};
	uint64_t start;

	device_open();
	start = now_ns();
	if (ioctl(device, request, argument) < 0)
		cost.error = errno;
	cost.ns = now_ns() - start;
	return cost;
}
