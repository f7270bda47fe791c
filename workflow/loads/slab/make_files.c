// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes empty files until the kernel holds BYTES more of slab than before:
 *
 *   make_files BYTES SEED FOLDER
 *
 * Of each batch of files a fifth as many are deleted, at random of all: slabs are partly empty, as
 * after weeks. Meanwhile it notes in /run/reached how much there is. It prints held_bytes=, by how
 * much the kernel's count of slab has grown, and sleeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#define BATCH 512
#define DELETED_OF_BATCH (BATCH / 5)

static size_t slab_bytes(void)
{
	return worker_kernel_bytes("/proc/meminfo", "Slab");
}

static const char *path_of(const char *folder, size_t number)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%zu/%zu", folder, number / BATCH, number % BATCH);
	return path;
}

static int make_batch(const char *folder, size_t batch)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%zu", folder, batch);
	if (mkdir(path, 0700))
		return -1;
	for (size_t i = 0; i < BATCH; i++) {
		if (mknod(path_of(folder, batch * BATCH + i), S_IFREG | 0600, 0))
			return -1;
	}
	return 0;
}

/* Some may be gone already. */
static void delete_random(const char *folder, size_t batches, struct seeded *seeded)
{
	for (size_t i = 0; i < DELETED_OF_BATCH; i++)
		unlink(path_of(folder, seeded_below(seeded, batches * BATCH)));
}

int main(int argc, char **argv)
{
	size_t before_bytes = slab_bytes(), held_bytes = 0, bytes, batches = 0;
	int reached = worker_open_note();
	struct seeded seeded;

	if (argc != 4) {
		fputs("usage: make_files BYTES SEED FOLDER\n", stderr);
		return 2;
	}
	bytes = strtoull(argv[1], NULL, 10);
	seeded.state = strtoull(argv[2], NULL, 10);
	while (held_bytes < bytes) {
		size_t now_bytes;

		if (make_batch(argv[3], batches++)) {
			perror("make_files");
			return 1;
		}
		delete_random(argv[3], batches, &seeded);
		now_bytes = slab_bytes();
		held_bytes = now_bytes > before_bytes ? now_bytes - before_bytes : 0;
		if (worker_note(reached, held_bytes))
			return 1;
	}
	worker_hold(held_bytes);
}
