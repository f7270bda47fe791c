// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps what is lent into a VM's monitor, at addresses whose distance from the physical ones is
 * whole blocks of any size: only so can KVM map blocks.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"
#include "vm.h"

#define STAGE2_BLOCK_BYTES 0x40000000ULL

static char *reserve(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* From the first piece to the last, and what it takes to begin as far into a block as the first. */
static char *reserve_for(const struct vm_memory *memory)
{
	const struct vm_piece *first = memory->pieces, *last = first + memory->count - 1;
	uint64_t begin = first->ipa / STAGE2_BLOCK_BYTES * STAGE2_BLOCK_BYTES;
	char *reserved = reserve(last->ipa + last->bytes - begin + STAGE2_BLOCK_BYTES);
	uintptr_t last_byte = (uintptr_t)reserved + STAGE2_BLOCK_BYTES - 1;
	uintptr_t aligned = last_byte / STAGE2_BLOCK_BYTES * STAGE2_BLOCK_BYTES;

	return reserved ? (char *)aligned - begin : NULL;
}

/* The module gives the memory uncached to whoever opens the device so. */
static int open_device(bool cacheable)
{
	return open("/dev/" CARVEOUT_DEVICE, O_RDWR | O_CLOEXEC | (cacheable ? 0 : O_DSYNC));
}

/*
 * So that the monitor has all of it in its page tables before its clock starts, as one that holds
 * its memory has. What is there stays there.
 */
static void touch(const struct vm_piece *piece)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE), at;

	for (at = 0; at < piece->bytes; at += page_bytes) {
		char *byte = piece->address + at;

		__atomic_store_n(byte, __atomic_load_n(byte, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	}
}

/* Returns 0 or an errno. What is mapped goes with the process that did it. */
int vm_map_pieces(const struct vm_memory *memory, bool cacheable)
{
	char *origin = reserve_for(memory);
	int device = open_device(cacheable);
	size_t i;

	if (!origin || device < 0)
		return errno;
	for (i = 0; i < memory->count; i++) {
		struct vm_piece *piece = &memory->pieces[i];

		piece->address = mmap(origin + piece->ipa, piece->bytes, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, device, piece->ipa);
		if (piece->address == MAP_FAILED) {
			i = errno;
			close(device);
			return i;
		}
		touch(piece);
	}
	close(device);
	return 0;
}

void vm_unmap_pieces(const struct vm_memory *memory)
{
	size_t i;

	for (i = 0; i < memory->count; i++) {
		if (memory->pieces[i].address != MAP_FAILED && memory->pieces[i].address)
			munmap(memory->pieces[i].address, memory->pieces[i].bytes);
		memory->pieces[i].address = NULL;
	}
}

/* As long as it is mapped, the VM stands, whoever has ended. */
void vm_unmap_cpu_state(struct vm_shared *shared)
{
	if (shared->cpu_state)
		munmap(shared->cpu_state, shared->cpu_state_bytes);
	shared->cpu_state = NULL;
}
