// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds BYTES of anonymous memory, with one page of every STRIDE_BYTES in a pipe:
 *
 *   pin BYTES
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define STRIDE_BYTES (2ul << 20)
#define PIPE_PAGES 16	/* that a pipe holds by default */

static int pin_page(char *page, size_t page_bytes, int pipe_end)
{
	struct iovec part = { .iov_base = page, .iov_len = page_bytes };

	return vmsplice(pipe_end, &part, 1, 0) == (ssize_t)page_bytes ? 0 : -1;
}

static int pin_pages(char *start, size_t bytes, size_t page_bytes)
{
	size_t offset, pinned = 0;
	int ends[2];

	for (offset = 0; offset < bytes; offset += STRIDE_BYTES, pinned++) {
		if (pinned % PIPE_PAGES == 0 && pipe(ends))
			return -1;
		if (pin_page(start + offset, page_bytes, ends[1]))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	size_t page_bytes = sysconf(_SC_PAGESIZE);
	size_t bytes = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || madvise(start, bytes, MADV_NOHUGEPAGE) ||
	    madvise(start, bytes, MADV_POPULATE_WRITE) || pin_pages(start, bytes, page_bytes)) {
		perror("pin");
		return 1;
	}
	printf("held_bytes=%zu\n", bytes);
	fclose(stdout);
	pause();
	return 0;
}
