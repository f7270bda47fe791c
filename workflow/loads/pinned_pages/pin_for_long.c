// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES of anonymous memory that the kernel has pinned for long (FOLL_LONGTERM), as a fixed
 * buffer of io_uring:
 *
 *   pin_for_long BYTES SEED
 *
 * Its stripes are touched in seeded order among a quarter more, which is freed before the rest is
 * pinned. Meanwhile it notes in /run/reached how much it holds. It prints held_bytes=, what the
 * kernel says that it has pinned, and sleeps.
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#define STRIPE_BYTES 1048576ul
#define MOST_BUFFER_BYTES 1073741824ul	/* of one fixed buffer */
#define MOST_BUFFERS 64

static char *map(size_t bytes)
{
	char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || madvise(start, bytes, MADV_NOHUGEPAGE))
		return NULL;
	return start;
}

/* Up to so many bytes: the last stripe may be a short one. */
static int touch_stripes(char *start, size_t bytes, struct seeded *seeded)
{
	size_t nr = (bytes + STRIPE_BYTES - 1) / STRIPE_BYTES, touched = 0;
	size_t *stripes = calloc(nr, sizeof(*stripes));
	int reached = worker_open_note();
	int error = stripes && reached >= 0 ? 0 : -1;

	for (size_t i = 0; i < nr && !error; i++)
		stripes[i] = i;
	if (!error)
		seeded_shuffle(seeded, stripes, nr);
	for (size_t i = 0; i < nr && !error; i++) {
		size_t first = stripes[i] * STRIPE_BYTES;
		size_t length = bytes - first < STRIPE_BYTES ? bytes - first : STRIPE_BYTES;

		error = madvise(start + first, length, MADV_POPULATE_WRITE);
		touched += length;
		if (!error)
			error = worker_note(reached, touched);
	}
	free(stripes);
	return error;
}

static int pin(char *start, size_t bytes)
{
	static struct iovec buffers[MOST_BUFFERS];
	struct io_uring_params params = {};
	int nr = 0, ring = syscall(__NR_io_uring_setup, 1, &params);

	if (ring < 0)
		return -1;
	for (size_t done = 0; done < bytes && nr < MOST_BUFFERS; nr++) {
		size_t left = bytes - done;

		buffers[nr].iov_base = start + done;
		buffers[nr].iov_len = left < MOST_BUFFER_BYTES ? left : MOST_BUFFER_BYTES;
		done += buffers[nr].iov_len;
	}
	return nr ? syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, buffers, nr) : 0;
}

int main(int argc, char **argv)
{
	size_t page_bytes = sysconf(_SC_PAGESIZE), bytes, more;
	struct seeded seeded;
	char *start;

	if (argc != 3) {
		fputs("usage: pin_for_long BYTES SEED\n", stderr);
		return 2;
	}
	bytes = strtoull(argv[1], NULL, 10) / page_bytes * page_bytes;
	seeded.state = strtoull(argv[2], NULL, 10);
	more = bytes / 4 / page_bytes * page_bytes;
	start = bytes ? map(bytes + more) : NULL;
	if (bytes && (!start || touch_stripes(start, bytes + more, &seeded) ||
		      (more && munmap(start + bytes, more)) || pin(start, bytes))) {
		perror("pin_for_long");
		return 1;
	}
	worker_hold(worker_kernel_bytes("/proc/self/status", "VmPin"));
}
