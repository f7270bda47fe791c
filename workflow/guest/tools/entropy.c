// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout entropy: starts the kernel's random numbers, always from the same words.
 *
 * The host under test has no source of entropy, on purpose. A host in use has long had enough:
 * until then the kernel makes every random number anew, one for each system call among them, and
 * who asks for good ones waits half a minute for jitter that the guest's clock does not have.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#include "tool.h"

#define POOL_WORDS 8
#define WORD_BYTES sizeof(__u32)

int run_entropy(int count, char **arguments)
{
	struct {
		struct rand_pool_info info;
		__u32 words[POOL_WORDS];
	} pool = {
		.info = {
			.entropy_count = 8 * WORD_BYTES * POOL_WORDS,
			.buf_size = WORD_BYTES * POOL_WORDS,
		},
		.words = { 1, 2, 3, 4, 5, 6, 7, 8 },
	};
	struct cost cost = {};
	int device;

	(void)arguments;
	if (count)
		return usage("entropy");
	device = open("/dev/random", O_WRONLY);
	if (device < 0)
		die("open /dev/random");
	if (ioctl(device, RNDADDENTROPY, &pool))
		cost.error = errno;
	return print_cost(&cost);
}
