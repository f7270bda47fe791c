// SPDX-License-Identifier: GPL-2.0-only
/* How often a VM's CPU came back into the kernel, by KVM's own statistics. */

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define MOST_NAME 64

/* Sets the value of a statistic; false at the end of the list. */
static bool read_one(int stats, const struct kvm_stats_header *header, unsigned int index,
		     char *name, uint64_t *value)
{
	struct kvm_stats_desc about;
	off_t size = sizeof(about) + header->name_size;
	off_t at = header->desc_offset + index * size;

	if (index >= header->num_desc || header->name_size > MOST_NAME)
		return false;
	return pread(stats, &about, sizeof(about), at) == sizeof(about) &&
	       pread(stats, name, header->name_size, at + sizeof(about)) == header->name_size &&
	       pread(stats, value, sizeof(*value), header->data_offset + about.offset) ==
	       sizeof(*value);
}

/* 0 where the kernel does not say. */
uint64_t vm_count_exits(int cpu)
{
	struct kvm_stats_header header;
	char name[MOST_NAME + 1] = "";
	int stats = ioctl(cpu, KVM_GET_STATS_FD, NULL);
	unsigned int index = 0;
	uint64_t value = 0;
	bool found = false;

	if (stats < 0)
		return 0;
	if (pread(stats, &header, sizeof(header), 0) == sizeof(header)) {
		while (!found && read_one(stats, &header, index++, name, &value))
			found = !strcmp(name, "exits");
	}
	close(stats);
	return found ? value : 0;
}
