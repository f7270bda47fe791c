// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills the page cache from files, as a system that has lived:
 *
 *   read_files SEED BYTES KEEP_PERCENT FILE...
 *
 * The same part of each file is read from its start, in seeded order of their stripes; then random
 * chunks are dropped until KEEP_PERCENT of what was read, which is BYTES, remains.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "seeded.h"

#define STRIPE_BYTES 1048576ul
#define WINDOW_BYTES 131072ul
#define LARGEST_CHUNK_BYTES (4ul << 20)

struct files {
	int *descriptors;
	size_t nr;
	size_t bytes_each;	/* to read */
};

static int open_files(struct files *files, char **names)
{
	files->descriptors = calloc(files->nr, sizeof(int));
	for (size_t i = 0; i < files->nr; i++) {
		files->descriptors[i] = open(names[i], O_RDONLY);
		if (files->descriptors[i] < 0) {
			perror(names[i]);
			return -1;
		}
	}
	return 0;
}

/* readahead(2) fills the cache without a copy, but never more than this at once. */
static int read_stripe(int descriptor, size_t offset, size_t bytes)
{
	size_t window;
	int error = 0;

	for (size_t done = 0; done < bytes && !error; done += window) {
		window = bytes - done < WINDOW_BYTES ? bytes - done : WINDOW_BYTES;
		error = readahead(descriptor, offset + done, window);
	}
	return error;
}

/* The last stripe of a file may be a short one. */
static int read_stripe_of(const struct files *files, size_t file, size_t stripe)
{
	size_t offset = stripe * STRIPE_BYTES, left = files->bytes_each - offset;

	return read_stripe(files->descriptors[file], offset,
			   left < STRIPE_BYTES ? left : STRIPE_BYTES);
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
		error = read_stripe_of(files, stripes[i] / stripes_each, stripes[i] % stripes_each);
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
							      LARGEST_CHUNK_BYTES / page_bytes,
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
	size_t page_bytes = sysconf(_SC_PAGESIZE), keep_percent;
	struct seeded seeded;
	struct files files;

	if (argc < 5) {
		fputs("usage: read_files SEED BYTES KEEP_PERCENT FILE...\n", stderr);
		return 2;
	}
	seeded.state = strtoull(argv[1], NULL, 10);
	keep_percent = strtoul(argv[3], NULL, 10);
	files.nr = argc - 4;
	files.bytes_each = strtoull(argv[2], NULL, 10) * 100 / keep_percent / files.nr;
	files.bytes_each -= files.bytes_each % page_bytes;
	if (open_files(&files, argv + 4) || read_in_seeded_order(&seeded, &files))
		return 1;
	drop_random_chunks(&seeded, &files, keep_percent);
	return 0;
}
