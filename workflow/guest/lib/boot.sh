# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What is done once, before the first step of the trial.

# The instruction clock runs the CPUs in turn, but which of two busy ones is next can
# depend on the machine below. So what the trial does, it does on one: processes,
# interrupts of devices, and the kernel's work that is bound to no CPU.
stay_on_first_cpu() {
	taskset -p 1 1 >/dev/null
	echo 1 >/proc/irq/default_smp_affinity
	echo 1 >/sys/devices/virtual/workqueue/cpumask
}

start_random_numbers() {
	carveout entropy 3>&- >/dev/null || fault error "the kernel refused entropy"
}

# The kernel leaves transparent huge pages off where Linux has less than 512 MiB (hugepage_init()
# in mm/huge_memory.c): of one load, hosts whose memory is set aside at boot would hold ordinary
# pages and others huge ones. All get what Debian's kernels give larger hosts.
use_huge_pages() {
	huge_pages=/sys/kernel/mm/transparent_hugepage
	! grep -q transparent_hugepage= /proc/cmdline || return 0
	[ -e $huge_pages ] || return 0
	for setting in enabled=always defrag=madvise use_zero_page=1 khugepaged/defrag=1; do
		echo "${setting#*=}" >"$huge_pages/${setting%=*}" ||
			fault error "the kernel refused of transparent huge pages: $setting"
	done
}

protect_from_oom_killer() {
	echo -1000 >/proc/self/oom_score_adj
}

# From here on it is known who allocates pages that cannot move.
note_owners() {
	echo 1 >/sys/module/carveout/parameters/owners ||
		fault error "the module cannot note who allocates pages"
}

# Evaluates the runner's shell assignments.
read_parameters() {
	parameter_file=/sys/firmware/qemu_fw_cfg/by_name/opt/carveout/parameters/raw
	[ -r $parameter_file ] || fault error "the runner gave no opt/carveout/parameters"
	eval "$(cat $parameter_file)"
}

# The watchdog is never pinged: it bounds the guest time of the whole trial.
arm_watchdog() {
	carveout watchdog "$GUEST_LIMIT_S" >/dev/null ||
		fault error "the watchdog refused $GUEST_LIMIT_S s"
}

# ram_ranges is what a census covers: START:BYTES of all RAM that the runner gave,
# whether Linux knows of it or not. A strategy with memory elsewhere adds to it.
# shellcheck disable=SC2034 # for steps, strategies and loads
find_ram() {
	for node in /proc/device-tree/memory@*; do
		RAM_START_BYTES=$((0x${node##*@}))
		break
	done
	[ "$RAM_START_BYTES" -eq "${STATED_RAM_START_BYTES:-$RAM_START_BYTES}" ] ||
		fault error "the RAM begins at $RAM_START_BYTES, not at $STATED_RAM_START_BYTES: see workflow/carveout/study/geometry.py"
	ram_ranges=$RAM_START_BYTES:$BOOT_RAM_BYTES
	page_kib=$(awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)
	PAGE_BYTES=$((page_kib * 1024))
	pageblock_pages=$(awk '/^Pages per block/ { print $4; exit }' /proc/pagetypeinfo)
	PAGEBLOCK_BYTES=$((pageblock_pages * PAGE_BYTES))
	check_geometry
	find_granule
}

# Hosts of several layouts have each done something else before.
have_history() {
	[ "$LAYOUT" -eq 0 ] || carveout history "$LAYOUT" $((RAM_BYTES / 2)) 3>&- >/dev/null ||
		fault error "the host could not do what gives it layout $LAYOUT"
}

# What the variant needs of the kernel: a line a file, with what the file says, if that matters, and why
# it is needed.
check_needs() {
	while IFS='|' read -r file why says; do
		[ -n "$file" ] || continue
		[ -e "$file" ] || unavailable "the running kernel has no $file: $why"
		[ -z "$says" ] || grep -Eq "$says" "$file" ||
			unavailable "the running kernel says $(head -n 1 "$file") in $file: $why"
	done <<EOF
${NEEDS:-}
EOF
}

# The config was checked by these sizes before anything was booted. A memory block is one section.
check_geometry() {
	[ "$PAGEBLOCK_BYTES" -eq "${STATED_PAGEBLOCK_BYTES:-$PAGEBLOCK_BYTES}" ] ||
		fault error "the running kernel has pageblocks of $PAGEBLOCK_BYTES bytes, not of $STATED_PAGEBLOCK_BYTES: state pageblock_bytes in the entry that names the kernel"
	block_size=/sys/devices/system/memory/block_size_bytes
	[ -e $block_size ] || return 0
	block_bytes=$((0x$(cat $block_size)))
	[ "$block_bytes" -eq "${STATED_SECTION_BYTES:-$block_bytes}" ] ||
		fault error "the running kernel has memory blocks of $block_bytes bytes, not of $STATED_SECTION_BYTES: carveout knows no such geometry, see workflow/carveout/study/geometry.py"
}

# The runner gives GRANULE_BYTES, but where the kernel's sizes decide. PIECE_BYTES is what is asked of
# who takes whole pageblocks.
# shellcheck disable=SC2034 # for steps and strategies
find_granule() {
	case $GRANULE in
	page) GRANULE_BYTES=$PAGE_BYTES ;;
	single) GRANULE_BYTES=$PAGEBLOCK_BYTES ;;
	esac
	PIECE_BYTES=$GRANULE_BYTES
	[ "$PIECE_BYTES" -ge "$PAGEBLOCK_BYTES" ] || PIECE_BYTES=$PAGEBLOCK_BYTES
}

# Descriptor 4 is open while the guest stands: its UART takes a word only then.
open_word_channel() {
	[ -n "${SEED:-}" ] || {
		stty -F /dev/ttyS1 -echo
		exec 4</dev/ttyS1
	}
}

# Sets SEED and DOSE_PERMILLE: the last ten bits of the word are the dose, those above the seed. Who
# runs this host by hand, without a runner, names both among its parameters.
# shellcheck disable=SC2034 # for loads
read_point() {
	[ -n "${SEED:-}" ] || {
		read -r word <&4 || fault error "the runner told no dose and seed"
		exec 4<&-
		SEED=$((0x$word >> 10))
		DOSE_PERMILLE=$((0x$word & 1023))
	}
}
