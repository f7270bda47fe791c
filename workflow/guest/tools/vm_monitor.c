// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's monitor: makes a VM with one CPU in what is lent, and lets it run to its end, or without
 * one. It is a process of its own, that somebody may kill.
 *
 * A kernel may refuse one way of having the memory in a VM and take another, so all are tried, and
 * each refusal is told. Where a VM may not execute what is in the memory, the code is beside it.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"
#include "vm.h"

/* RAM of QEMU's machine `virt` begins at 1 GiB: below, a VM's addresses are free. */
#define FIRMWARE_IPA 0x08000000ULL
#define WORDS_IPA 0x10000000ULL

#define VECTORS_REGISTER ARM64_SYS_REG(3, 0, 12, 0, 0)	/* VBAR_EL1 */

struct vm {
	struct vm_shared *shared;
	struct carveout_vm_report *report;
	const struct vm_memory *memory;
	enum carveout_vm_way way;
	enum carveout_vm_stage stage;
	int kvm, machine, cpu;
	const struct kvm_run *run;
	struct vm_cpu_state state;
	uint64_t begin_ns, begin_ticks;
};

static bool code_is_beside(const struct vm *vm)
{
	return vm->way == CARVEOUT_VM_CACHEABLE_CODE_BESIDE ||
	       vm->way == CARVEOUT_VM_UNCACHED_CODE_BESIDE;
}

static bool is_cacheable(const struct vm *vm)
{
	return vm->way < CARVEOUT_VM_UNCACHED;
}

static uint64_t read_counter(void)
{
	uint64_t ticks;

	asm volatile("isb\n	mrs	%0, cntvct_el0" : "=r" (ticks) : : "memory");
	return ticks;
}

static uint64_t ns_of(uint64_t ticks)
{
	uint64_t frequency_hz;

	asm("mrs %0, cntfrq_el0" : "=r" (frequency_hz));
	return ticks * (1000000000 / frequency_hz);
}

/* Each step returns 0 or an errno, and says before what it is at. */
static int open_kvm(struct vm *vm)
{
	vm->stage = CARVEOUT_VM_OPEN;
	vm->begin_ticks = read_counter();
	vm->begin_ns = now_ns();
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return errno;
	vm->stage = CARVEOUT_VM_CREATE;
	vm->machine = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	return vm->machine < 0 ? errno : 0;
}

static int add_memory(struct vm *vm, uint32_t slot, uint64_t ipa, uint64_t bytes, void *address)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = ipa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)address,
	};

	return ioctl(vm->machine, KVM_SET_USER_MEMORY_REGION, &region) ? errno : 0;
}

static int add_firmware(struct vm *vm)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	char *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (page == MAP_FAILED)
		return errno;
	vm_write_firmware(page);
	return add_memory(vm, vm->memory->count, FIRMWARE_IPA, page_bytes, page);
}

static int add_all_memory(struct vm *vm)
{
	char *first = vm->memory->pieces[0].address;
	size_t i;
	int ret;

	vm->stage = CARVEOUT_VM_MEMORY;
	for (i = 0; i < vm->memory->count; i++) {
		const struct vm_piece *piece = &vm->memory->pieces[i];

		ret = add_memory(vm, i, piece->ipa, piece->bytes, piece->address);
		if (ret)
			return ret;
	}
	memcpy(first, vm_code, VM_CODE_BYTES);
	__builtin___clear_cache(first, first + VM_CODE_BYTES);
	return add_firmware(vm);
}

static int make_cpu(struct vm *vm)
{
	struct kvm_vcpu_init init;
	long bytes;

	vm->stage = CARVEOUT_VM_CPU;
	vm->report->made_ns = now_ns() - vm->begin_ns;
	vm->cpu = ioctl(vm->machine, KVM_CREATE_VCPU, 0);
	if (vm->cpu < 0 || ioctl(vm->machine, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(vm->cpu, KVM_ARM_VCPU_INIT, &init))
		return errno;
	bytes = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < 0)
		return errno;
	vm->run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->cpu, 0);
	if (vm->run == MAP_FAILED)
		return errno;
	vm->shared->cpu_state_bytes = bytes;
	vm->shared->cpu_state = (void *)vm->run;
	return 0;
}

static int set_register(struct vm *vm, uint64_t id, const uint64_t *value)
{
	struct kvm_one_reg one = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | id,
		.addr = (uintptr_t)value,
	};

	return ioctl(vm->cpu, KVM_SET_ONE_REG, &one) ? errno : 0;
}

static uint64_t core_register(size_t offset)
{
	return KVM_REG_ARM_CORE | offset / sizeof(uint32_t);
}

static int set_registers(struct vm *vm, unsigned int count)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = set_register(vm, core_register(offsetof(struct kvm_regs, regs.regs) +
						     i * sizeof(uint64_t)),
				   &vm->state.x[i]);
	return ret;
}

static int start_code(struct vm *vm)
{
	uint64_t code_ipa = code_is_beside(vm) ? FIRMWARE_IPA : vm->memory->pieces[0].ipa;
	int ret;

	vm_set_up(&vm->state, code_ipa, FIRMWARE_IPA, WORDS_IPA, vm->shared->order.seed);
	ret = set_registers(vm, sizeof(vm->state.x) / sizeof(*vm->state.x));
	if (!ret)
		ret = set_register(vm, core_register(offsetof(struct kvm_regs, regs.pc)),
				   &vm->state.pc);
	if (!ret)
		ret = set_register(vm, VECTORS_REGISTER, &vm->state.vectors);
	return ret;
}

static bool has_word(const struct vm *vm)
{
	return vm->run->exit_reason == KVM_EXIT_MMIO && vm->run->mmio.phys_addr >= WORDS_IPA &&
	       vm->run->mmio.phys_addr < WORDS_IPA + VM_WORDS * sizeof(uint64_t);
}

/* Runs until the VM says something: sets the word and its value. */
static int await_word(struct vm *vm, enum vm_word *word, uint64_t *value)
{
	uint64_t start_ns = now_ns();
	int ret = 0;

	do {
		if (ioctl(vm->cpu, KVM_RUN, 0))
			ret = errno;
	} while (ret == EINTR);
	vm->report->run_ns += now_ns() - start_ns;
	if (ret)
		return ret;
	if (!has_word(vm))
		return vm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? EIO : EFAULT;
	vm->report->exits_told++;
	*word = (vm->run->mmio.phys_addr - WORDS_IPA) / sizeof(uint64_t);
	memcpy(value, vm->run->mmio.data, sizeof(*value));
	if (*word == VM_ABORTED)
		return vm_may_not_execute(*value) ? ENOEXEC : EFAULT;
	return 0;
}

static int run_range(struct vm *vm, const struct vm_piece *piece, bool check)
{
	enum vm_word word;
	uint64_t value;
	int ret;

	vm_set_range(&vm->state, piece, check);
	ret = set_registers(vm, 3);
	__atomic_store_n(&vm->shared->inside, true, __ATOMIC_RELAXED);
	while (!ret) {
		ret = await_word(vm, &word, &value);
		if (!ret && word == VM_PAGES && check)
			vm->report->pages_checked += value;
		if (ret || word == VM_BAD)
			break;
	}
	__atomic_store_n(&vm->shared->inside, false, __ATOMIC_RELAXED);
	if (!ret && check)
		vm->report->pages_bad += value;
	return ret;
}

static int run_all(struct vm *vm, bool check)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < vm->memory->count && !ret; i++)
		ret = run_range(vm, &vm->memory->pieces[i], check);
	return ret;
}

/* The VM's counter began when its CPU was made. */
static int run_first_instruction(struct vm *vm)
{
	uint64_t ticks;
	enum vm_word word;
	int ret;

	vm->stage = CARVEOUT_VM_RUN;
	ret = await_word(vm, &word, &ticks);
	vm->report->first_instruction_ns = now_ns() - vm->begin_ns;
	vm->report->first_counter_ns = ns_of(read_counter() - vm->begin_ticks);
	if (ret)
		return ret;
	vm->report->counter_ns = ns_of(ticks);
	return word == VM_STARTED ? 0 : EPROTO;
}

/* Whoever cannot look has not been refused: there is no way without. */
static void watch_faults(const struct vm *vm)
{
	const struct vm_piece *first = vm->memory->pieces, *last = first + vm->memory->count - 1;
	struct carveout_vm_watch watch = {
		.start = first->ipa,
		.bytes = last->ipa + last->bytes - first->ipa,
	};

	if (device_request(CARVEOUT_IOC_VM_WATCH, &watch).error)
		die("watch the faults of stage 2");
}

/* Whatever the seed, the pattern of the first few pages is no longer right. The code is. */
static void poke(const struct vm_piece *piece, uint64_t pages)
{
	uint64_t bytes = pages * sysconf(_SC_PAGESIZE), at;

	for (at = 0; at < bytes; at += VM_LINE_BYTES) {
		if (at >= VM_CODE_BYTES)
			piece->address[at] ^= 1;
	}
}

static int run_to_end(struct vm *vm)
{
	int ret = run_all(vm, false);
	size_t i;

	poke(&vm->memory->pieces[0], vm->shared->order.poke);
	if (!ret)
		ret = run_all(vm, true);
	if (ret)
		return ret;
	vm->report->exits = vm_count_exits(vm->cpu);
	vm->report->stage2.vm = vm->machine;
	if (device_request(CARVEOUT_IOC_VM_STAGE2, &vm->report->stage2).error)
		die("read the tables of stage 2");
	for (i = 0; i < vm->memory->count; i++)
		vm->report->pages_unseen += vm_count_unseen(&vm->memory->pieces[i],
								    vm->shared->order.seed);
	return 0;
}

static int run_code(struct vm *vm)
{
	int ret = start_code(vm);

	if (!ret)
		ret = run_first_instruction(vm);
	if (!ret && vm->shared->order.kind == CARVEOUT_ORDER_RUN_VM)
		return run_to_end(vm);
	while (!ret)
		ret = run_all(vm, false);
	return ret;
}

/* What is mapped before the clock starts is the monitor's, whoever lends. */
static int run_in(struct vm *vm)
{
	int ret = 0;

	vm->stage = CARVEOUT_VM_MAP;
	if (!vm->memory->held)
		ret = vm_map_pieces(vm->memory, is_cacheable(vm));
	watch_faults(vm);
	if (!ret)
		ret = open_kvm(vm);
	if (!ret)
		ret = add_all_memory(vm);
	if (!ret)
		ret = make_cpu(vm);
	return ret ? ret : run_code(vm);
}

static void let_go(struct vm *vm)
{
	vm_unmap_cpu_state(vm->shared);
	if (vm->cpu >= 0)
		close(vm->cpu);
	if (vm->machine >= 0)
		close(vm->machine);
	if (vm->kvm >= 0)
		close(vm->kvm);
	if (!vm->memory->held)
		vm_unmap_pieces(vm->memory);
}

/* Of a way that the kernel did not take, only that is told. */
static void forget_run(struct carveout_vm_report *report)
{
	struct carveout_vm_report kept = { .way = CARVEOUT_VM_WAYS };

	memcpy(kept.stage, report->stage, sizeof(kept.stage));
	memcpy(kept.error, report->error, sizeof(kept.error));
	*report = kept;
}

static bool try_way(struct vm_shared *shared, enum carveout_vm_way way)
{
	struct carveout_vm_report *report = &shared->order.report;
	struct vm vm = {
		.shared = shared,
		.report = report,
		.memory = shared->memory,
		.way = way,
		.kvm = -1,
		.machine = -1,
		.cpu = -1,
	};
	uint64_t tables_before = 0, tables = 0;

	forget_run(report);
	device_request(CARVEOUT_IOC_VM_TABLES, &tables_before);
	report->error[way] = run_in(&vm);
	report->stage[way] = vm.stage;
	device_request(CARVEOUT_IOC_VM_TABLES, &tables);
	report->tables_counted = tables - tables_before;
	let_go(&vm);
	return !report->error[way];
}

/* A holder's mapping is as it is. */
void vm_monitor(struct vm_shared *shared)
{
	enum carveout_vm_way way, end;

	end = shared->memory->held ? CARVEOUT_VM_UNCACHED : CARVEOUT_VM_WAYS;
	for (way = CARVEOUT_VM_CACHEABLE; way < end; way++) {
		if (try_way(shared, way))
			break;
	}
	shared->order.report.way = way < end ? way : CARVEOUT_VM_WAYS;
}
