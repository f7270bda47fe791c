# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The guest library: what init, strategies and loads stand on.
#
# For a strategy's guest.sh:
#   operate STAGE ARGS...   run `carveout ARGS...`; its nanoseconds are added to the
#                           cost of the step. Returns 1 when the kernel refused; the
#                           first refusal of a step names its stage, errno and blocker.
#   measure STAGE COMMAND...
#                           the same for another program that speaks like carveout
#   fail STAGE ERRNO        note a refusal that no tool reported; returns 1
#   host MEMBERS            let the runner execute one QMP command while the guest
#                           stands still
#   lend_in_pieces BYTES SMALLEST_BYTES COMMAND...
#                           lend with `COMMAND... PIECE_BYTES`, the whole first, halving
#                           the piece whenever it is refused
# A hook that returns 0 did all that was asked. One that returns anything else must
# have noted a refusal; otherwise the trial ends with a fault. Hooks find
# the runner's RAM_BYTES, BOOT_RAM_BYTES, LENDABLE_BYTES, the variant's parameters, and
# RAM_START_BYTES, PAGE_BYTES and PAGEBLOCK_BYTES of the running kernel.
# For a load's guest.sh, besides DOSE_PERCENT, the same, and in `load` alone SEED:
#   start_worker COMMAND... run a process that occupies memory; returns when it has
#                           printed its one line of name=value, which is evaluated
#   reached_dose PART WHOLE sets dose_achieved_percent, of the same unit each

# --- State of the trial -----------------------------------------------------------

sequence=0
stage=boot
cycle=0
finished=no
step_ns=0
refused_stage=
refused_errno=
blocker=null
worker_pids=
hooks=
oom_kills_seen=0
ram_ranges=
dose_achieved_percent=0
# What the tool answers, by evaluating its name=value lines.
ns=0
errno=
oom_kills=0
pages_cached=0
pages_migrated=0
pages_reclaimed=0
granted_bytes=0
extents=0
largest_extent_bytes=0
returned_bytes=0
pages_checked=0
pages_bad=0
pages_overlapping=0
pages_free=0
movable_bytes=0
unmovable_bytes=0
blocker_pfn=
blocker_type=
blocker_flags=

# --- Records ----------------------------------------------------------------------

# Descriptor 3 is the record channel. Children must not inherit it: a host that powers itself
# off waits until the last holder has closed and so drained it.
open_record_channel() {
	stty -F /dev/ttyS0 raw -echo
	exec 3>/dev/ttyS0
}

# Descriptor 4 is open while the guest stands: its UART takes a seed only then.
open_seed_channel() {
	[ -n "${SEED:-}" ] || {
		stty -F /dev/ttyS1 -echo
		exec 4</dev/ttyS1
	}
}

# Who runs this host by hand, without a runner, names the SEED among its parameters.
read_seed() {
	[ -n "${SEED:-}" ] || {
		read -r SEED <&4 || fault error "the runner told no seed"
		exec 4<&-
	}
}

# record NAME [MEMBERS]
record() {
	printf '{"seq":%d,"record":"%s"%s}\n' "$sequence" "$1" "${2:+,$2}" >&3
	sequence=$((sequence + 1))
}

# text_or_null VALUE: sets `json`
text_or_null() {
	json=null
	[ -z "$1" ] || json="\"$1\""
}

# fault CAUSE MESSAGE: the trial ends here
fault() {
	fault_message=$(printf '%s' "$2" | tr -c 'A-Za-z0-9 _./:;=,()-' '?')
	record fault "\"stage\":\"$stage\",\"cause\":\"$1\",\"message\":\"$fault_message\""
	end_trial
}

finish() {
	record end
	end_trial
}

# The runner does with a guest that stands at its end as it likes. Where none can stand, or
# nobody stops it, it powers itself off.
end_trial() {
	finished=yes
	carveout pause 3>&- >/dev/null
	exec 3>&-
	poweroff -f
	# Not reached, but init must never return: the kernel would panic.
	while :; do sleep 1000; done
}

# The shell ends by itself on a syntax error or an unset variable in a plug-in.
at_exit() {
	[ $finished = yes ] || fault error "the guest shell ended in stage $stage; the console log says why"
}

# --- Boot -------------------------------------------------------------------------

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

protect_from_oom_killer() {
	echo -1000 >/proc/self/oom_score_adj
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
find_ram() {
	for node in /proc/device-tree/memory@*; do
		RAM_START_BYTES=$((0x${node##*@}))
		break
	done
	ram_ranges=$RAM_START_BYTES:$BOOT_RAM_BYTES
	page_kib=$(awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)
	PAGE_BYTES=$((page_kib * 1024))
	pageblock_pages=$(awk '/^Pages per block/ { print $4; exit }' /proc/pagetypeinfo)
	# shellcheck disable=SC2034 # for strategies and loads
	PAGEBLOCK_BYTES=$((pageblock_pages * PAGE_BYTES))
}

# --- Steps ------------------------------------------------------------------------

# begin_step STAGE: from here on, faults and costs are this step's
begin_step() {
	stage=$1
	step_ns=0
	refused_stage=
	refused_errno=
	blocker=null
	unset CARVEOUT_NO_BLOCKER
	record stage "\"stage\":\"$stage\",\"cycle\":$cycle"
}

# run_hook NAME ARGS...: returns whether the hook did all that was asked
run_hook() {
	hook=$1
	shift
	is_defined "$hook" || fault error "guest.sh defines no $hook"
	"$hook" "$@" && return 0
	hook_status=$?
	[ -n "$refused_stage" ] ||
		fault error "$hook returned $hook_status without naming a stage"
	return 1
}

run_optional_hook() {
	! is_defined "$1" || run_hook "$1" ||
		fault error "$1 was refused at $refused_stage: $refused_errno"
}

is_defined() {
	case $hooks in
	*" $1 "*) return 0 ;;
	*) return 1 ;;
	esac
}

# Sets hooks, once a boot: asking takes a process. Names of hooks are also applets' names in other
# shells: only a function counts.
find_hooks() {
	hooks=" "
	for hook in prepare prepare_load load lend while_lent give_back; do
		case $(type "$hook" 2>/dev/null) in
		*function*) hooks="$hooks$hook " ;;
		esac
	done
}

# A load whose worker was killed is not the load that was asked for: the trial ends.
check_step() {
	read_snapshot
	if [ "$oom_kills" -gt "$oom_kills_seen" ] && [ -n "$worker_pids" ]; then
		fault oom "the kernel killed $((oom_kills - oom_kills_seen)) processes for lack of memory"
	fi
	oom_kills_seen=$oom_kills
	for worker_pid in $worker_pids; do
		worker_lives "$worker_pid" || fault error "load worker $worker_pid ended"
	done
}

# The shell reads byte by byte: no further than the line that is asked for.
worker_lives() {
	worker_state=Z
	while read -r key worker_state _; do
		[ "$key" != State: ] || break
	done 2>/dev/null <"/proc/$1/status"
	[ "${worker_state:-Z}" != Z ]
}

# Sets pages_cached, pages_migrated, pages_reclaimed and oom_kills, of which all but the first are
# counted since boot; and granted_bytes, extents and largest_extent_bytes of what is lent.
read_snapshot() {
	read -r pages_cached pages_migrated pages_reclaimed oom_kills \
		granted_bytes extents largest_extent_bytes \
		</sys/module/carveout/parameters/snapshot ||
		fault error "the module gave no snapshot"
}

load_step() {
	begin_step load
	run_hook load || fault error "load was refused at $refused_stage: $refused_errno"
	check_step
	record load "\"dose_achieved_percent\":$dose_achieved_percent,\"oom_kills\":$oom_kills"
}

# census PHASE
census() {
	begin_step census
	# The ranges are words on purpose.
	# shellcheck disable=SC2086
	census_members=$(carveout census $ram_ranges 3>&-) ||
		fault error "the census failed"
	record census "\"cycle\":$cycle,\"phase\":\"$1\",$census_members"
}

# lend_step REQUEST_BYTES
lend_step() {
	request_bytes=$1
	begin_step lend
	read_snapshot
	migrated_before=$pages_migrated
	reclaimed_before=$pages_reclaimed
	cached_before=$pages_cached
	killed_before=$oom_kills
	! run_hook lend "$request_bytes" || refused_stage=
	[ -n "$refused_stage" ] || refused_errno=
	check_step
	count_reclaimed
	record_lend
}

# alloc_contig_range() drops clean page cache without counting it as reclaimed, so
# what has left the page cache counts when it is more.
count_reclaimed() {
	reclaimed=$((pages_reclaimed - reclaimed_before))
	dropped=$((cached_before - pages_cached))
	[ "$reclaimed" -ge "$dropped" ] || reclaimed=$dropped
}

record_lend() {
	text_or_null "$refused_stage"
	stage_json=$json
	text_or_null "$refused_errno"
	[ -n "$refused_stage" ] || blocker=null
	record lend "\"cycle\":$cycle,\"request_bytes\":$request_bytes,\
\"stage\":$stage_json,\"errno\":$json,\
\"granted_bytes\":$granted_bytes,\"extents\":$extents,\
\"largest_extent_bytes\":$largest_extent_bytes,\"lend_ns\":$step_ns,\
\"pages_migrated\":$((pages_migrated - migrated_before)),\
\"pages_reclaimed\":$reclaimed,\
\"oom_kills\":$((oom_kills - killed_before)),\"blocker\":$blocker"
}

write_pattern() {
	begin_step verify
	carveout pattern write "$SEED" 3>&- >/dev/null ||
		fault error "writing the pattern failed"
}

check_pattern() {
	checked=$(carveout pattern check "$SEED" 3>&-) ||
		fault error "reading the pattern failed"
	eval "$checked"
	record verify "\"cycle\":$cycle,\"pages_checked\":$pages_checked,\
\"pages_bad\":$pages_bad,\"pages_overlapping\":$pages_overlapping,\"pages_free\":$pages_free"
}

give_back_step() {
	begin_step give_back
	returned_bytes=0
	! run_hook give_back || refused_stage=
	[ -n "$refused_stage" ] || refused_errno=
	check_step
	text_or_null "$refused_stage"
	stage_json=$json
	text_or_null "$refused_errno"
	record give_back "\"cycle\":$cycle,\"stage\":$stage_json,\"errno\":$json,\
\"returned_bytes\":$returned_bytes,\"give_back_ns\":$step_ns"
}

reuse_step() {
	begin_step reuse
	probed=$(carveout reuse last 3>&-) || fault error "the reuse probe failed"
	eval "$probed"
	check_step
	record reuse "\"cycle\":$cycle,\"reuse_movable_bytes\":$movable_bytes,\
\"reuse_unmovable_bytes\":$unmovable_bytes"
}

# --- For strategies ---------------------------------------------------------------

operate() {
	operate_stage=$1
	shift
	measure "$operate_stage" carveout "$@"
}

measure() {
	measure_stage=$1
	shift
	ns=0
	errno=
	measure_status=0
	measure_output=$("$@" 3>&-) || measure_status=$?
	eval "$measure_output"
	step_ns=$((step_ns + ns))
	case $measure_status in
	0) return 0 ;;
	1) fail "$measure_stage" "$errno" ;;
	*) fault error "$* ended with status $measure_status" ;;
	esac
}

fail() {
	[ -z "$refused_stage" ] || return 1
	refused_stage=$1
	refused_errno=$2
	[ -z "${blocker_pfn:-}" ] ||
		blocker="{\"pfn\":$blocker_pfn,\"type\":\"$blocker_type\",\"flags\":\"$blocker_flags\"}"
	blocker_pfn=
	export CARVEOUT_NO_BLOCKER=1 # only the first refusal of a step is explained
	return 1
}

host() {
	record host "$1"
	stop_for_runner
}

stop_for_runner() {
	carveout pause 3>&- >/dev/null || fault error "the guest could not stop for the runner"
}

lend_in_pieces() {
	missing_bytes=$1
	smallest_bytes=$2
	piece_bytes=$1
	[ "$smallest_bytes" -le "$1" ] || smallest_bytes=$1
	shift 2
	while [ "$missing_bytes" -gt 0 ] && [ "$piece_bytes" -ge "$smallest_bytes" ]; do
		if "$@" "$piece_bytes"; then
			missing_bytes=$((missing_bytes - piece_bytes))
			[ "$piece_bytes" -le "$missing_bytes" ] || piece_bytes=$missing_bytes
		else
			piece_bytes=$((piece_bytes / 2))
		fi
	done
	[ "$missing_bytes" -eq 0 ]
}

# --- For loads --------------------------------------------------------------------

# A worker is the first that the OOM killer takes, as a batch job would be.
start_worker() {
	mkfifo /run/worker
	(
		exec 3>&-
		echo 1000 >/proc/self/oom_score_adj
		exec "$@"
	) >/run/worker &
	worker_pids="$worker_pids $!"
	answer=
	read -r answer </run/worker || check_step
	rm /run/worker
	[ -n "$answer" ] || fault error "load worker $1 ended before its memory was held"
	eval "$answer"
}

# reached_dose PART WHOLE: sets dose_achieved_percent, with one decimal
reached_dose() {
	per_mille=$((($1 * 1000 + $2 / 2) / $2))
	dose_achieved_percent=$((per_mille / 10)).$((per_mille % 10))
}
