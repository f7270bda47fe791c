// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for MemTotal, in guest time: the driver of a virtio-mem device does not
 * say when it is done, but every unit that it plugs or gives up shows there.
 *
 *   await clock                             prints the clock, in nanoseconds
 *   await settled QUIET_MS                  until MemTotal stood still that long
 *   await reached BYTES STARTED_NS QUIET_MS until MemTotal is BYTES, or stood
 *       still for QUIET_MS; prints the time from STARTED_NS to the last change
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS 1000000L
#define REMOVAL_NS 100000000L
#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

static long long clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static long long total_bytes(void)
{
	long long total_kib = -1;
	FILE *meminfo = fopen("/proc/meminfo", "r");

	if (!meminfo || fscanf(meminfo, "MemTotal: %lld", &total_kib) != 1) {
		fputs("await: /proc/meminfo has no MemTotal\n", stderr);
		exit(2);
	}
	fclose(meminfo);
	return total_kib * 1024;
}

/* A quarter longer each time that nothing has changed: whatever is awaited comes soon or not. */
static void poll_pause(long long quiet_ns)
{
	const struct timespec pause = { .tv_nsec = POLL_NS + quiet_ns / 4 };

	nanosleep(&pause, NULL);
}

/* Returns whether MemTotal reached @wanted_bytes; *@changed_ns: its last change. */
static bool wait_for(long long wanted_bytes, long long quiet_ms, long long *changed_ns)
{
	long long seen_bytes = total_bytes();

	*changed_ns = clock_ns();
	while (seen_bytes != wanted_bytes) {
		long long now_bytes;

		if (clock_ns() - *changed_ns > quiet_ms * NS_PER_MS)
			return false;
		poll_pause(clock_ns() - *changed_ns);
		now_bytes = total_bytes();
		if (now_bytes != seen_bytes) {
			seen_bytes = now_bytes;
			*changed_ns = clock_ns();
		}
	}
	return true;
}

static int reached(long long wanted_bytes, long long started_ns, long long quiet_ms)
{
	long long changed_ns;
	bool done = wait_for(wanted_bytes, quiet_ms, &changed_ns);
	const struct timespec removal = { .tv_nsec = REMOVAL_NS };

	/* MemTotal falls when a block goes offline; its memmap goes a little later. */
	nanosleep(&removal, NULL);
	/* The driver's own error for memory that it cannot give up or plug now. */
	printf("ns=%lld errno=%s\n", changed_ns - started_ns, done ? "" : "EBUSY");
	return done ? 0 : 1;
}

int main(int argc, char **argv)
{
	long long changed_ns;

	if (argc == 2 && !strcmp(argv[1], "clock")) {
		printf("%lld\n", clock_ns());
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "settled")) {
		wait_for(-1, atoll(argv[2]), &changed_ns);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "reached"))
		return reached(atoll(argv[2]), atoll(argv[3]), atoll(argv[4]));
	fputs("usage: await clock | settled QUIET_MS | reached BYTES STARTED_NS QUIET_MS\n",
	      stderr);
	return 2;
}
