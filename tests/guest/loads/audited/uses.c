// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds a little memory of every kind that a process can have:
 *
 *   uses BYTES FOLDER
 *
 * Half of BYTES are huge pages with holes, which stay whole until the kernel splits them; the other
 * half are single pages. Some of these a device has pinned (io_uring's buffers). Beside them page
 * tables, pipes and small files. It prints pinned_bytes= and sleeps.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPES 16
#define FILES 3000
#define TABLES 256
#define TABLE_BYTES (2ul << 20)
#define PINNED_PAGES 64
#define HOLE_EVERY 8

static size_t page_bytes;

static char *map(size_t bytes, int advice)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, bytes, advice)) {
		perror("uses: mmap");
		exit(1);
	}
	return memory;
}

static void touch(char *memory, size_t bytes, size_t step)
{
	for (size_t offset = 0; offset < bytes; offset += step)
		__atomic_store_n(memory + offset, 1, __ATOMIC_RELAXED);
}

static void hold_huge_with_holes(size_t bytes)
{
	char *memory = map(bytes, MADV_HUGEPAGE);

	touch(memory, bytes, page_bytes);
	for (size_t offset = 0; offset < bytes; offset += HOLE_EVERY * page_bytes)
		madvise(memory + offset, page_bytes, MADV_DONTNEED);
}

static char *hold_single(size_t bytes)
{
	char *memory = map(bytes, MADV_NOHUGEPAGE);

	touch(memory, bytes, page_bytes);
	return memory;
}

static size_t pin(char *memory)
{
	struct iovec buffer = { .iov_base = memory, .iov_len = PINNED_PAGES * page_bytes };
	struct io_uring_params parameters = {};
	int ring = syscall(SYS_io_uring_setup, 1, &parameters);

	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1)) {
		perror("uses: io_uring");
		exit(1);
	}
	return buffer.iov_len;
}

static void fill_pipes(void)
{
	static char content[65536];

	for (int i = 0; i < PIPES; i++) {
		int ends[2];

		if (pipe2(ends, O_NONBLOCK) || write(ends[1], content, sizeof(content)) < 0) {
			perror("uses: pipe");
			exit(1);
		}
	}
}

static void make_files(const char *folder)
{
	char path[256];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/small_%d", folder, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
}

int main(int argc, char **argv)
{
	size_t bytes, pinned_bytes;
	char *single;

	if (argc != 3) {
		fputs("usage: uses BYTES FOLDER\n", stderr);
		return 2;
	}
	page_bytes = sysconf(_SC_PAGESIZE);
	bytes = strtoull(argv[1], NULL, 10);
	hold_huge_with_holes(bytes / 2);
	single = hold_single(bytes / 2);
	pinned_bytes = pin(single);
	touch(map(TABLES * TABLE_BYTES, MADV_NOHUGEPAGE), TABLES * TABLE_BYTES, TABLE_BYTES);
	fill_pipes();
	make_files(argv[2]);
	printf("pinned_bytes=%zu\n", pinned_bytes);
	fclose(stdout);
	pause();
	return 0;
}
