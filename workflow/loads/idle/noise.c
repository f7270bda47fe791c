// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves a little seeded noise behind, as the first second of any user space does:
 *
 *   noise FOLDER SEED
 *
 * It writes small files into a memory file system and deletes half of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "seeded.h"

#define NR_FILES 64
#define MOST_PAGES 32

static int write_file(const char *path, size_t pages)
{
	static char page[65536];
	size_t page_bytes = sysconf(_SC_PAGESIZE);
	int file = open(path, O_CREAT | O_WRONLY, 0600);

	if (file < 0)
		return -1;
	while (pages--) {
		if (write(file, page, page_bytes) != (ssize_t)page_bytes)
			return -1;
	}
	return close(file);
}

int main(int argc, char **argv)
{
	struct seeded seeded;
	char path[256];

	if (argc != 3) {
		fputs("usage: noise FOLDER SEED\n", stderr);
		return 2;
	}
	seeded.state = strtoull(argv[2], NULL, 10);
	for (int i = 0; i < NR_FILES; i++) {
		snprintf(path, sizeof(path), "%s/%d", argv[1], i);
		if (write_file(path, 1 + seeded_below(&seeded, MOST_PAGES))) {
			perror(path);
			return 1;
		}
		if (seeded_below(&seeded, 2))
			unlink(path);
	}
	return 0;
}
