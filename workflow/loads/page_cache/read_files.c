// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills the page cache from files, as a system that has lived:
 *
 *   read_files SEED KEEP_PERCENT FILE...
 *
 * All files are read whole, in seeded order of their stripes; then random chunks
 * are dropped until KEEP_PERCENT of what was read remains.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seeded.h"

#define STRIPE_BYTES 1048576ul
#define WINDOW_BYTES 131072ul

struct files {
	int *descriptors;
	size_t nr;
	size_t bytes_each;	/* all files are of one size */
};

static int open_files(struct files *files, char **names)
{
	struct stat status;

	files->descriptors = calloc(files->nr, sizeof(int));
	for (size_t i = 0; i < files->nr; i++) {
		files->descriptors[i] = open(names[i], O_RDONLY);
		if (files->descriptors[i] < 0 || fstat(files->descriptors[i], &status)) {
			perror(names[i]);
			return -1;
		}
		files->bytes_each = status.st_size;
	}
	return 0;
}

/* readahead(2) fills the cache without a copy, but never more than this at once. */
static int read_stripe(int descriptor, size_t offset)
{
	int error = 0;

	for (size_t done = 0; done < STRIPE_BYTES && !error; done += WINDOW_BYTES)
		error = readahead(descriptor, offset + done, WINDOW_BYTES);
	return error;
}

static int read_in_seeded_order(struct seeded *seeded, const struct files *files)
{
	size_t stripes_each = (files->bytes_each + STRIPE_BYTES - 1) / STRIPE_BYTES;
	size_t nr = files->nr * stripes_each;
	size_t *stripes = calloc(nr, sizeof(*stripes));
	int error = 0;

	for (size_t i = 0; i < nr; i++)
		stripes[i] = i;
	seeded_shuffle(seeded, stripes, nr);
	for (size_t i = 0; i < nr && !error; i++)
		error = read_stripe(files->descriptors[stripes[i] / stripes_each],
				    stripes[i] % stripes_each * STRIPE_BYTES);
	free(stripes);
	return error;
}

static void drop_random_chunks(struct seeded *seeded, const struct files *files,
			       size_t keep_percent)
{
	size_t page_bytes = sysconf(_SC_PAGESIZE);
	size_t pages_each = files->bytes_each / page_bytes;
	size_t wanted = files->nr * pages_each * (100 - keep_percent) / 100;
	char *dropped = calloc(files->nr, pages_each);

	while (wanted) {
		size_t file = seeded_below(seeded, files->nr);
		struct seeded_chunk chunk = seeded_take_chunk(seeded, dropped + file * pages_each,
							      pages_each, wanted);

		if (chunk.nr)
			posix_fadvise(files->descriptors[file], chunk.first * page_bytes,
				      chunk.nr * page_bytes, POSIX_FADV_DONTNEED);
		wanted -= chunk.nr;
	}
	free(dropped);
}

int main(int argc, char **argv)
{
	struct seeded seeded;
	struct files files;

	if (argc < 4) {
		fputs("usage: read_files SEED KEEP_PERCENT FILE...\n", stderr);
		return 2;
	}
	seeded.state = strtoull(argv[1], NULL, 10);
	files.nr = argc - 3;
	if (open_files(&files, argv + 3) || read_in_seeded_order(&seeded, &files))
		return 1;
	drop_random_chunks(&seeded, &files, strtoul(argv[2], NULL, 10));
	return 0;
}
