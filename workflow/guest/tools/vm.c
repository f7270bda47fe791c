// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout vm: runs VMs in what is lent, once to their end, and once more until they are killed.
 * For tests, so many pages of each are changed before it reads them.
 *
 * What no process holds is one VM's memory, of which this process is the monitor. What a process
 * holds is the memory of a VM of its own, and the process is its monitor: how KVM maps it follows
 * the monitor's own page tables. What several VMs did is added up, but for the times up to the
 * first instruction: those are the slowest one's.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"
#include "vm.h"

static const char * const stage_words[] = {
	[CARVEOUT_VM_OPEN] = "open",
	[CARVEOUT_VM_CREATE] = "create",
	[CARVEOUT_VM_MAP] = "map",
	[CARVEOUT_VM_MEMORY] = "memory",
	[CARVEOUT_VM_CPU] = "cpu",
	[CARVEOUT_VM_RUN] = "run",
};

static const char * const way_words[] = {
	[CARVEOUT_VM_CACHEABLE] = "cacheable",
	[CARVEOUT_VM_CACHEABLE_CODE_BESIDE] = "cacheable_code_beside",
	[CARVEOUT_VM_UNCACHED] = "uncached",
	[CARVEOUT_VM_UNCACHED_CODE_BESIDE] = "uncached_code_beside",
};

/* All VMs of one order. */
struct vms {
	struct carveout_order order;
	unsigned int count;
	unsigned int orphans;	/* of lends whose holder is dead: no VM */
	unsigned int ran;
	unsigned int killed;
	struct carveout_vm_report sum;
	struct carveout_vm_report told;	/* whose ways stand for all */
};

static void add_stage2(struct carveout_stage2 *sum, const struct carveout_stage2 *one)
{
	unsigned int level;

	for (level = 0; level < CARVEOUT_STAGE2_LEVELS; level++) {
		sum->leaf_bytes[level] = one->leaf_bytes[level];
		sum->leaves[level] += one->leaves[level];
	}
	sum->device_bytes += one->device_bytes;
	sum->uncached_bytes += one->uncached_bytes;
	sum->other_bytes += one->other_bytes;
	sum->tables += one->tables;
	sum->faults += one->faults;
}

/* All of one VM's: what its own counter says is held against them. */
static void keep_slowest(struct carveout_vm_report *slowest, const struct carveout_vm_report *one)
{
	if (one->first_instruction_ns <= slowest->first_instruction_ns)
		return;
	slowest->made_ns = one->made_ns;
	slowest->first_instruction_ns = one->first_instruction_ns;
	slowest->first_counter_ns = one->first_counter_ns;
	slowest->counter_ns = one->counter_ns;
}

/* The first that failed, or the first of all. */
static bool tells_more(const struct vms *vms, const struct carveout_vm_report *one)
{
	return !vms->count || (vms->told.way != CARVEOUT_VM_WAYS && one->way == CARVEOUT_VM_WAYS);
}

static void add_report(struct vms *vms, const struct carveout_vm_report *one)
{
	struct carveout_vm_report *sum = &vms->sum;

	if (one->failed) {
		errno = ECHILD;
		die("learn from a VM's monitor how it went");
	}
	if (tells_more(vms, one))
		vms->told = *one;
	vms->count++;
	vms->killed += one->killed;
	sum->tables_left += one->tables_left;
	sum->tainted |= one->tainted;
	if (one->way == CARVEOUT_VM_WAYS || one->killed)
		return;
	vms->ran++;
	sum->exits_told += one->exits_told;
	keep_slowest(sum, one);
	sum->run_ns += one->run_ns;
	sum->pages_checked += one->pages_checked;
	sum->pages_bad += one->pages_bad;
	sum->pages_unseen += one->pages_unseen;
	sum->exits += one->exits;
	sum->tables_counted += one->tables_counted;
	add_stage2(&sum->stage2, &one->stage2);
}

static struct carveout_range *read_ranges(size_t *count)
{
	struct carveout_vm_ranges wanted = {};
	struct carveout_range *ranges;

	if (device_request(CARVEOUT_IOC_VM_RANGES, &wanted).error)
		die("ask for what is lent");
	ranges = calloc(wanted.count + 1, sizeof(*ranges));
	if (!ranges)
		die("have room for what is lent");
	wanted.pointer = (uintptr_t)ranges;
	if (wanted.count && device_request(CARVEOUT_IOC_VM_RANGES, &wanted).error)
		die("ask for what is lent");
	*count = wanted.count;
	return ranges;
}

/* The VM sees each page where the host has it. */
static void run_unheld(struct vms *vms)
{
	struct vm_memory memory = {};
	struct carveout_range *ranges = read_ranges(&memory.count);
	struct carveout_order order = vms->order;
	size_t i;

	memory.pieces = calloc(memory.count + 1, sizeof(*memory.pieces));
	if (!memory.pieces)
		die("have room for what is lent");
	for (i = 0; i < memory.count; i++) {
		memory.pieces[i].ipa = ranges[i].start;
		memory.pieces[i].bytes = ranges[i].bytes;
	}
	if (memory.count) {
		vm_serve(&order, &memory);
		add_report(vms, &order.report);
	}
	free(memory.pieces);
	free(ranges);
}

static void run_held(struct vms *vms)
{
	struct carveout_order order = vms->order;
	int error;

	for (;; order.holder++) {
		error = device_request(CARVEOUT_IOC_ORDER, &order).error;
		if (error == ENOENT)
			return;
		if (!error)
			add_report(vms, &order.report);
		else if (error == ESRCH)
			vms->orphans++;
		else
			die("order a VM");
	}
}

static struct vms run_all(enum carveout_order_kind kind, uint64_t seed, uint64_t poke)
{
	struct vms vms = { .order = { .kind = kind, .seed = seed, .poke = poke } };

	run_unheld(&vms);
	run_held(&vms);
	return vms;
}

/* As WAY:STAGE:ERRNO, of all ways that the kernel did not take. */
static void print_ways(const struct carveout_vm_report *report)
{
	unsigned int way;

	printf("vm_way=%s\nvm_refusals=",
	       report->way < CARVEOUT_VM_WAYS ? way_words[report->way] : "");
	for (way = 0; way < CARVEOUT_VM_WAYS; way++) {
		if (report->error[way])
			printf("%s%s:%s:%s", way ? "," : "", way_words[way],
			       stage_words[report->stage[way]],
			       strerrorname_np(report->error[way]));
	}
	putchar('\n');
}

static void print_stage2(const struct carveout_stage2 *stage2, uint64_t page_bytes)
{
	unsigned int level;

	for (level = 1; level < CARVEOUT_STAGE2_LEVELS; level++) {
		printf("vm_level%u_leaf_bytes=%llu\n", level, stage2->leaf_bytes[level]);
		printf("vm_level%u_leaves=%llu\n", level, stage2->leaves[level]);
	}
	print_number("vm_device_bytes", stage2->device_bytes);
	print_number("vm_uncached_bytes", stage2->uncached_bytes);
	print_number("vm_other_bytes", stage2->other_bytes);
	print_number("vm_table_bytes", stage2->tables * page_bytes);
	print_number("vm_faults", stage2->faults);
}

static void print_sums(const struct carveout_vm_report *sum, uint64_t page_bytes)
{
	print_number("vm_made_ns", sum->made_ns);
	print_number("vm_first_instruction_ns", sum->first_instruction_ns);
	print_number("vm_first_counter_ns", sum->first_counter_ns);
	print_number("vm_counter_ns", sum->counter_ns);
	print_number("vm_run_ns", sum->run_ns);
	print_number("vm_exits", sum->exits);
	print_number("vm_exits_told", sum->exits_told);
	print_number("vm_pages_checked", sum->pages_checked);
	print_number("vm_pages_bad", sum->pages_bad);
	print_number("vm_pages_unseen", sum->pages_unseen);
	print_number("vm_table_counter_bytes", sum->tables_counted * page_bytes);
	print_stage2(&sum->stage2, page_bytes);
}

static const char *outcome_of(const struct vms *vms)
{
	if (!vms->count || vms->orphans)
		return "no_hold";
	return vms->ran == vms->count ? "ran" : "refused";
}

/* The tables that a killed VM had are gone, and the kernel found nothing wrong. */
static void print_killed(const struct vms *killed, uint64_t page_bytes)
{
	print_number("vm_killed", killed->killed);
	print_number("vm_table_left_bytes", killed->sum.tables_left * page_bytes);
	print_number("vm_tainted", killed->sum.tainted);
}

int run_vm(int count, char **arguments)
{
	uint64_t seed, poke, page_bytes;
	struct vms ran, killed;

	if (count < 1 || count > 2)
		return usage("vm SEED [PAGES]");
	seed = parse_number("SEED", arguments[0]);
	if (access("/dev/kvm", F_OK)) {
		puts("vm_outcome=no_kvm\nvm_count=0");
		return DONE;
	}
	poke = count == 2 ? parse_number("PAGES", arguments[1]) : 0;
	page_bytes = sysconf(_SC_PAGESIZE);
	ran = run_all(CARVEOUT_ORDER_RUN_VM, seed, poke);
	printf("vm_outcome=%s\n", outcome_of(&ran));
	print_number("vm_count", ran.count);
	if (!ran.count)
		return DONE;
	print_ways(&ran.told);
	print_sums(&ran.sum, page_bytes);
	if (ran.ran == ran.count && !ran.orphans) {
		killed = run_all(CARVEOUT_ORDER_KILL_VM, seed, 0);
		print_killed(&killed, page_bytes);
	}
	return DONE;
}
