// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts the kernel's random numbers from a seed:
 *
 *   credit_entropy SEED
 *
 * The host under test has no source of entropy, on purpose. mke2fs wants random
 * numbers for a UUID, and without this the kernel would spend half a minute of
 * guest time on collecting jitter that its clock does not have.
 */
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "seeded.h"

#define POOL_WORDS 8
#define WORD_BYTES sizeof(__u32)

int main(int argc, char **argv)
{
	struct {
		struct rand_pool_info info;
		__u32 words[POOL_WORDS];
	} pool = { 0 };
	struct seeded seeded;
	int device = open("/dev/random", O_WRONLY);

	if (argc != 2 || device < 0) {
		fputs("usage: credit_entropy SEED\n", stderr);
		return 2;
	}
	seeded.state = strtoull(argv[1], NULL, 10);
	for (size_t i = 0; i < POOL_WORDS; i++)
		pool.words[i] = seeded_next(&seeded);
	pool.info.entropy_count = 8 * WORD_BYTES * POOL_WORDS;
	pool.info.buf_size = WORD_BYTES * POOL_WORDS;
	if (ioctl(device, RNDADDENTROPY, &pool)) {
		perror("credit_entropy");
		return 1;
	}
	return 0;
}
