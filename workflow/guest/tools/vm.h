/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM in what is lent: what the files of its monitor share. */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carveout_uapi.h"

/* A piece of what is lent: where the VM sees it, and where its monitor does. */
struct vm_piece {
	uint64_t ipa;
	uint64_t bytes;
	char *address;		/* of lends that no process holds: after vm_map_pieces() */
};

/* All memory of one VM; the pieces ascend. */
struct vm_memory {
	struct vm_piece *pieces;
	size_t count;
	bool held;		/* the monitor has it mapped already */
};

/* vm_code.c: what the VM runs, and what it says to its monitor. */
#define VM_LINE_BYTES 64
#define VM_CODE_LINES 4		/* the pattern leaves them alone, in every page */
#define VM_CODE_BYTES (VM_CODE_LINES * VM_LINE_BYTES)

enum vm_word {
	VM_STARTED,		/* with the VM's counter: its first instruction took effect */
	VM_PAGES,		/* of the range that it was told */
	VM_BAD,			/* pages of them: it asks for the next range */
	VM_ABORTED,		/* with its CPU's syndrome: it was denied an access */
	VM_WORDS
};

#define VM_FIRMWARE_BYTES 4096	/* at least */

extern const char vm_code[VM_CODE_BYTES];	/* vm_program.S, like the next two */
extern const char vm_abort_code[], vm_abort_code_end[];

struct vm_cpu_state {
	uint64_t x[31];
	uint64_t pc;
	uint64_t vectors;
};

void vm_set_up(struct vm_cpu_state *state, uint64_t code_ipa, uint64_t firmware_ipa,
	       uint64_t words_ipa, uint64_t seed);
void vm_write_firmware(char *page);
bool vm_may_not_execute(uint64_t syndrome);
void vm_set_range(struct vm_cpu_state *state, const struct vm_piece *piece, bool check);
uint64_t vm_count_unseen(const struct vm_piece *piece, uint64_t seed);

/* What a VM's process and the one that looks after it both see: they share their memory. */
struct vm_shared {
	const struct vm_memory *memory;
	struct carveout_order order;
	bool inside;	/* in KVM_RUN, and its first instruction has taken effect */
	void *cpu_state;	/* that the kernel shares with the monitor; NULL before and after */
	size_t cpu_state_bytes;
};

/* vm_monitor.c */
void vm_monitor(struct vm_shared *shared);

/* vm_map.c */
int vm_map_pieces(const struct vm_memory *memory, bool cacheable);
void vm_unmap_pieces(const struct vm_memory *memory);
void vm_unmap_cpu_state(struct vm_shared *shared);

/* vm_exits.c */
uint64_t vm_count_exits(int cpu);

/* vm_process.c */
void vm_serve(struct carveout_order *order, const struct vm_memory *memory);

#endif
