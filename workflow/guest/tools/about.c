// SPDX-License-Identifier: GPL-2.0-only
/* carveout about: what the trial's first record says of the guest. */

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tool.h"

int run_about(int count, char **arguments)
{
	char version[32] = "";
	struct utsname name;
	FILE *file;

	(void)arguments;
	if (count)
		return usage("about");
	file = fopen("/sys/module/carveout/version", "r");
	if (!file)
		die("read /sys/module/carveout/version");
	if (!fgets(version, sizeof(version), file))
		version[0] = 0;
	fclose(file);
	version[strcspn(version, "\n")] = 0;
	uname(&name);
	printf("kernel_release=%s\n", name.release);
	print_number("page_bytes", sysconf(_SC_PAGESIZE));
	printf("module_version=%s\n", version);
	return DONE;
}
