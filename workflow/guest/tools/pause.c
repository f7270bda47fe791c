// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout pause: stops the whole machine at this instruction, through QEMU's pvpanic-pci device
 * and -action panic=pause. The machine goes on when the runner says so.
 */

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "tool.h"

#define PVPANIC_VENDOR 0x1b36
#define PVPANIC_DEVICE 0x0011
#define PVPANIC_PANICKED 1

static const char records[] = "/dev/ttyS0";

static uint64_t attribute(const char *device, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", device, name);
	return read_number(path);
}

static bool find_device(char *path, size_t size)
{
	bool found = false;
	glob_t all;
	size_t i;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &all))
		return false;
	for (i = 0; i < all.gl_pathc && !found; i++) {
		found = attribute(all.gl_pathv[i], "vendor") == PVPANIC_VENDOR &&
			attribute(all.gl_pathv[i], "device") == PVPANIC_DEVICE;
		if (found)
			snprintf(path, size, "%s", all.gl_pathv[i]);
	}
	globfree(&all);
	return found;
}

/* The device answers only after its memory is switched on; no driver did. */
static void switch_on(const char *device)
{
	char path[256];
	int file;

	snprintf(path, sizeof(path), "%s/enable", device);
	file = open(path, O_WRONLY);
	if (file < 0 || write(file, "1", 1) != 1)
		die("enable the pvpanic-pci device");
	close(file);
}

/* The register's BAR is smaller than a page and need not begin with one. */
static uint8_t *map_register(const char *device)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t start = attribute(device, "resource");
	char path[256];
	uint8_t *mapped;
	int file;

	snprintf(path, sizeof(path), "%s/resource0", device);
	file = open(path, O_RDWR | O_SYNC);
	if (file < 0)
		die("open the register of the pvpanic-pci device");
	mapped = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (mapped == MAP_FAILED)
		die("map the register of the pvpanic-pci device");
	return mapped + start % page;
}

/* What was said before the pause is read during the pause. */
static void drain_records(void)
{
	int file = open(records, O_WRONLY | O_NOCTTY);

	if (file < 0 || tcdrain(file))
		die("drain /dev/ttyS0");
	close(file);
}

int run_pause(int count, char **arguments)
{
	char device[128];

	(void)arguments;
	if (count)
		return usage("pause");
	if (!find_device(device, sizeof(device))) {
		fputs("carveout: found no pvpanic-pci device to pause with\n", stderr);
		return USAGE;
	}
	switch_on(device);
	drain_records();
	__atomic_store_n(map_register(device), PVPANIC_PANICKED, __ATOMIC_SEQ_CST);
	return DONE;
}
