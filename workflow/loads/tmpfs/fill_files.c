// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES in files of a memory file system, as a system that has lived:
 *
 *   fill_files BYTES SEED FOLDER
 *
 * A quarter more is allocated, stripe after stripe of all files in seeded order; then random
 * chunks are punched out until BYTES remain. Meanwhile it notes in /run/reached how much it holds.
 * It prints held_bytes=, as the file system counts its blocks, and sleeps.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#define NR_FILES 16
#define STRIPE_BYTES 1048576ul
#define LARGEST_CHUNK_BYTES (4ul << 20)
#define BLOCK_BYTES 512	/* of st_blocks */

struct files {
	int descriptors[NR_FILES];
	size_t stripes_each;
	size_t nr_held;		/* pages */
	size_t page_bytes;
	int reached;
};

static int open_files(struct files *files, const char *folder)
{
	char path[256];

	for (int i = 0; i < NR_FILES; i++) {
		snprintf(path, sizeof(path), "%s/%d", folder, i);
		files->descriptors[i] = open(path, O_RDWR | O_CREAT, 0600);
		if (files->descriptors[i] < 0)
			return -1;
	}
	files->reached = worker_open_note();
	return files->reached < 0 ? -1 : 0;
}

static int allocate_in_seeded_order(struct files *files, struct seeded *seeded)
{
	size_t nr = NR_FILES * files->stripes_each;
	size_t *stripes = calloc(nr, sizeof(*stripes));
	int error = stripes ? 0 : -1;

	for (size_t i = 0; i < nr && !error; i++)
		stripes[i] = i;
	if (!error)
		seeded_shuffle(seeded, stripes, nr);
	for (size_t i = 0; i < nr && !error; i++) {
		error = fallocate(files->descriptors[stripes[i] % NR_FILES], 0,
				  stripes[i] / NR_FILES * STRIPE_BYTES, STRIPE_BYTES);
		files->nr_held += STRIPE_BYTES / files->page_bytes;
		if (!error)
			error = worker_note(files->reached, files->nr_held * files->page_bytes);
	}
	free(stripes);
	return error;
}

static int punch_random_chunks(struct files *files, struct seeded *seeded, size_t held_pages)
{
	size_t pages_each = files->stripes_each * (STRIPE_BYTES / files->page_bytes);
	size_t largest_pages = LARGEST_CHUNK_BYTES / files->page_bytes;
	char *punched = calloc(NR_FILES, pages_each);
	int error = punched ? 0 : -1;

	while (!error && files->nr_held > held_pages) {
		size_t file = seeded_below(seeded, NR_FILES);
		struct seeded_chunk chunk = seeded_take_chunk(seeded, punched + file * pages_each,
							      largest_pages, pages_each,
							      files->nr_held - held_pages);

		if (chunk.nr)
			error = fallocate(files->descriptors[file],
					  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					  chunk.first * files->page_bytes,
					  chunk.nr * files->page_bytes);
		files->nr_held -= chunk.nr;
	}
	free(punched);
	return error;
}

static size_t held_bytes(const struct files *files)
{
	struct stat status;
	size_t bytes = 0;

	for (int i = 0; i < NR_FILES; i++) {
		if (!fstat(files->descriptors[i], &status))
			bytes += status.st_blocks * BLOCK_BYTES;
	}
	return bytes;
}

int main(int argc, char **argv)
{
	struct files files = { .page_bytes = sysconf(_SC_PAGESIZE) };
	struct seeded seeded;
	size_t bytes;

	if (argc != 4) {
		fputs("usage: fill_files BYTES SEED FOLDER\n", stderr);
		return 2;
	}
	bytes = strtoull(argv[1], NULL, 10);
	seeded.state = strtoull(argv[2], NULL, 10);
	files.stripes_each = (bytes + bytes / 4) / NR_FILES / STRIPE_BYTES + 1;
	if (open_files(&files, argv[3]) || allocate_in_seeded_order(&files, &seeded) ||
	    punch_random_chunks(&files, &seeded, bytes / files.page_bytes)) {
		perror("fill_files");
		return 1;
	}
	worker_hold(held_bytes(&files));
}
