// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls the kernel module with arguments that make no sense. Prints one line a call, and fails
 * when one of them succeeds or is answered with another errno than the one that is wanted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "carveout_uapi.h"

#define MIB (1ULL << 20)
#define RAM (1ULL << 30)

static int device, mistakes;

static void refuse(const char *what, unsigned long request, void *argument, int wanted)
{
	int found = ioctl(device, request, argument) < 0 ? errno : 0;

	printf("nonsense: %s: wanted %s, found %s\n", what, strerrorname_np(wanted),
	       found ? strerrorname_np(found) : "success");
	mistakes += found != wanted;
}

static void refuse_contig(const char *what, __u64 bytes, __u64 piece, __u64 align, __u32 area,
			  int wanted)
{
	struct carveout_contig contig = {
		.bytes = bytes,
		.piece_bytes = piece,
		.align_bytes = align,
		.area = area,
	};

	refuse(what, CARVEOUT_IOC_LEND_CONTIG, &contig, wanted);
}

static void refuse_carve_out(const char *what, __u64 start, __u64 bytes, int wanted)
{
	struct carveout_range range = { .start = start, .bytes = bytes };

	refuse(what, CARVEOUT_IOC_LEND_CARVE_OUT, &range, wanted);
}

int main(void)
{
	struct carveout_mapping mapping = { .address = 0xdead0000, .bytes = 2 * MIB };
	struct carveout_cma empty = { 0 };
	struct carveout_largest half = { .bytes = 3 * MIB };
	struct carveout_contig policy = {
		.bytes = 2 * MIB,
		.piece_bytes = 2 * MIB,
		.align_bytes = 2 * MIB,
		.policy = 99,
	};
	struct carveout_await nothing = { .limit_ns = 1 };
	__u64 category = ~0ULL;
	struct carveout_census census = { .ranges = { .pointer = 16, .count = 1 } };
	__u64 page = 0;

	device = open("/dev/" CARVEOUT_DEVICE, O_RDWR);
	if (device < 0)
		return 1;
	refuse("an unknown ioctl", _IO(0xca, 99), NULL, ENOTTY);
	refuse("a null pointer", CARVEOUT_IOC_LEND_CONTIG, NULL, EFAULT);
	refuse("a kernel pointer", CARVEOUT_IOC_LEND_CONTIG, (void *)~0xfffULL, EFAULT);
	refuse("a range list nowhere", CARVEOUT_IOC_CENSUS, &census, EFAULT);
	refuse_contig("no bytes", 0, 2 * MIB, 2 * MIB, CARVEOUT_AREA_ANY, EINVAL);
	refuse_contig("an odd size", 4097, 2 * MIB, 2 * MIB, CARVEOUT_AREA_ANY, EINVAL);
	refuse_contig("a size that overflows", ~0xfffULL, 2 * MIB, 2 * MIB, CARVEOUT_AREA_ANY,
		      ERANGE);
	refuse_contig("an alignment that is no power of two", 2 * MIB, 2 * MIB, 3 * MIB,
		      CARVEOUT_AREA_ANY, EINVAL);
	refuse_contig("pieces of no bytes", 2 * MIB, 0, 2 * MIB, CARVEOUT_AREA_ANY, EINVAL);
	refuse_contig("bytes that are no pieces", 3 * MIB, 2 * MIB, 2 * MIB, CARVEOUT_AREA_ANY,
		      EINVAL);
	refuse("a largest range of half a pageblock", CARVEOUT_IOC_LEND_LARGEST, &half, EINVAL);
	refuse_contig("an unknown area", 2 * MIB, 2 * MIB, 2 * MIB, 99, EINVAL);
	refuse("an unknown policy", CARVEOUT_IOC_LEND_CONTIG, &policy, EINVAL);
	refuse("an unknown category of costs", CARVEOUT_IOC_COST_BEGIN, &category, EINVAL);
	refuse("a wait for no work", CARVEOUT_IOC_PAUSE_AND_AWAIT, &nothing, EINVAL);
	refuse_carve_out("memory that Linux has", RAM, 2 * MIB, EBUSY);
	refuse_carve_out("a range that overflows", ~0xfffffULL, 4 * MIB, ERANGE);
	refuse("a CMA request of no bytes", CARVEOUT_IOC_LEND_CMA, &empty, EINVAL);
	refuse("a mapping that is not there", CARVEOUT_IOC_LEND_MAPPING, &mapping, EFAULT);
	refuse("give back of nothing", CARVEOUT_IOC_GIVE_BACK, &(struct carveout_give_back){ 0 },
	       ENOENT);
	refuse("a poke at nothing", CARVEOUT_IOC_POKE, &page, ERANGE);
	return mistakes != 0;
}
