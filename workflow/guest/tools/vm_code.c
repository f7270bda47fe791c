// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VM runs (vm_program.S), by its monitor's side. It writes one cache line in every page of
 * the ranges that its monitor tells it, at a place and with a content that follow from a seed and
 * the page's number, and then reads them all. It has no stage-1 translation, so its memory is what
 * stage 2 makes of it. Who it speaks to by stores to where there is no memory can change its
 * registers before it goes on.
 *
 * No page's line is in the first few of a page, where the code is in one of them.
 *
 * A page beside its memory has what its CPU turns to when an access is denied, and if need be the
 * code: the monitor's firmware, as it were.
 */

#include <string.h>
#include <unistd.h>

#include "vm.h"

#define NUMBER_STEP 0x9e3779b97f4a7c15ULL
#define SEED_FACTOR 0xd1342543de82ef95ULL
#define FIRST_FACTOR 0xbf58476d1ce4e5b9ULL
#define SECOND_FACTOR 0x94d049bb133111ebULL

/* Arm ARM, D1.3: where the vectors are in the page, and where the level's own exceptions go. */
#define VECTORS_OFFSET 2048
#define OWN_EXCEPTION 0x200

/* ESR_EL1: why the CPU is there. KVM of 6.1 sets all bits above, too: it shifts an int. */
#define CLASS_SHIFT 26
#define CLASS_MASK 0x3f
#define OWN_INSTRUCTION_ABORT 0x21

bool vm_may_not_execute(uint64_t syndrome)
{
	return (syndrome >> CLASS_SHIFT & CLASS_MASK) == OWN_INSTRUCTION_ABORT;
}

void vm_write_firmware(char *page)
{
	memcpy(page, vm_code, VM_CODE_BYTES);
	memcpy(page + VECTORS_OFFSET + OWN_EXCEPTION, vm_abort_code,
	       vm_abort_code_end - vm_abort_code);
	__builtin___clear_cache(page, page + VM_FIRMWARE_BYTES);
}

static uint64_t lines_per_page(void)
{
	return sysconf(_SC_PAGESIZE) / VM_LINE_BYTES - VM_CODE_LINES;
}

void vm_set_up(struct vm_cpu_state *state, uint64_t code_ipa, uint64_t firmware_ipa,
	       uint64_t words_ipa, uint64_t seed)
{
	*state = (struct vm_cpu_state){
		.pc = code_ipa,
		.vectors = firmware_ipa + VECTORS_OFFSET,
	};
	state->x[3] = sysconf(_SC_PAGESIZE);
	state->x[4] = __builtin_ctzll(state->x[3]);
	state->x[5] = lines_per_page();
	state->x[6] = words_ipa;
	state->x[20] = seed * SEED_FACTOR;
	state->x[21] = NUMBER_STEP;
	state->x[22] = FIRST_FACTOR;
	state->x[23] = SECOND_FACTOR;
}

void vm_set_range(struct vm_cpu_state *state, const struct vm_piece *piece, bool check)
{
	state->x[0] = piece->ipa;
	state->x[1] = piece->ipa + piece->bytes;
	state->x[2] = check;
}

static uint64_t number_of(uint64_t page, uint64_t seed)
{
	uint64_t x = seed * SEED_FACTOR + (page + 1) * NUMBER_STEP;

	x = (x ^ (x >> 30)) * FIRST_FACTOR;
	x = (x ^ (x >> 27)) * SECOND_FACTOR;
	return x ^ (x >> 31);
}

/* Of a piece, in how many pages the monitor sees something else than the VM has written. */
uint64_t vm_count_unseen(const struct vm_piece *piece, uint64_t seed)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE), lines = lines_per_page(), at, unseen = 0;

	for (at = 0; at < piece->bytes; at += page_bytes) {
		uint64_t number = number_of((piece->ipa + at) / page_bytes, seed);
		const uint64_t *line = (const uint64_t *)(piece->address + at) +
			((number >> 32) % lines + VM_CODE_LINES) * VM_LINE_BYTES / sizeof(*line);
		unsigned int word;

		for (word = 0; word < VM_LINE_BYTES / sizeof(*line); word++) {
			if (line[word] != number + word * NUMBER_STEP) {
				unseen++;
				break;
			}
		}
	}
	return unseen;
}
