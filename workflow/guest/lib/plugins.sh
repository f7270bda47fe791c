# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What strategies and loads stand on.
#
# For a strategy's guest.sh:
#   operate STAGE ARGS...   run `carveout ARGS...`; what it cost is added to the cost of
#                           the step. Returns 1 when it was refused; of a step's first
#                           refusal, the stage is noted, who refused and why, and the blocker.
#   measure STAGE COMMAND...
#                           the same for another program that prints, as carveout does, name=value:
#                           search_ns, migrate_ns, reclaim_ns, map_ns, rest_ns, content_ns,
#                           cleared_pages, attempts, refusals (ERRNO:COUNT,... of those); and with
#                           status 1 refused_by and errno or reason, and kernel_log where not the
#                           last warning of the step tells why
#   fail STAGE BY REASON    note a refusal that no tool reported, by whom (kernel, driver,
#                           carveout, shell) and why, in a word; returns 1
#   host MEMBERS            let the runner execute one QMP command while the guest
#                           stands still
#   host_and_await STAGE WORK LIMIT_NS MEMBERS
#                           the same, and wait until the driver has done what that calls for: until
#                           a work item whose function is WORK has ended, which must begin within
#                           the limit, and is not queued again. The cost is the time from the instant
#                           at which the guest goes on. A driver that sleeps and gets nothing done
#                           (no_progress) is waited for no longer, though it goes on trying.
#   await STAGE WORK BEGIN_NS END_NS
#                           wait for a driver that nobody asked for anything: until such a work item
#                           has ended and is not to come again. It must begin within the one limit;
#                           after that and the other, the driver is late and waited for no longer.
#   lend_in_pieces BYTES SMALLEST_BYTES COMMAND...
#                           lend with `COMMAND... PIECE_BYTES`, the whole first, halving
#                           the piece whenever it is refused
#   unavailable REASON      in `prepare`: this kernel cannot do it, by its own word. All trials of the
#                           cell are `not_available`, with the reason
# `lend` gets the bytes that it is asked for, and as a second argument the request. It is asked for
# no more than leaves the host RESERVE_BYTES to work with, unless the strategy has set its memory
# aside before, and says so: takes_from_linux=no. What is of use to a VM is what lies in whole aligned
# pieces of GRANULE_BYTES, or where GRANULE is `single` in the largest range.
# `lend_more` gets what is missing of the two after a lend that ended short: it is another attempt, by
# another order where there is one. When it adds nothing, the lend is exhausted. blocker_area and
# blocker_range say where to look for the page that was in its way: see lib/lend.sh.
# A hook that returns 0 did all that was asked. One that returns anything else must
# have noted a refusal; otherwise the trial ends with a fault. Hooks find
# the runner's RAM_BYTES, BOOT_RAM_BYTES, LENDABLE_BYTES, the variant's parameters, and
# RAM_START_BYTES, PAGE_BYTES and PAGEBLOCK_BYTES of the running kernel, and PIECE_BYTES, the
# granule but a pageblock at least.
# For a load's guest.sh the same, and in `load` alone SEED and DOSE_PERMILLE:
#   start_worker COMMAND... run a process that occupies memory; returns when it has
#                           printed its one line of name=value, which is evaluated
#   unavailable REASON      in `prepare_load`, as for a strategy
#   reached_dose PART WHOLE sets dose_achieved_percent, of the same unit each
# A load whose load.yaml says `works: true` has a worker that goes on when it is told to: see
# lib/work.sh, and worker_serve() in include/worker.h.
# A worker notes in /run/reached how many bytes it holds, for the case that it is killed.

# What a program answers, by evaluating its name=value lines: what it does not say it does not say
# of the last one's.
forget_answer() {
	search_ns=0
	migrate_ns=0
	reclaim_ns=0
	map_ns=0
	rest_ns=0
	content_ns=0
	cleared_pages=0
	attempts=
	refusals=
	kernel_log=
	refused_by=
	reason=
	errno=
}
forget_answer
blocker_pfn=
blocker_type=
blocker_flags=
blocker_owner=

# --- For strategies ---------------------------------------------------------------

operate() {
	operate_stage=$1
	shift
	measure "$operate_stage" carveout "$@"
}

measure() {
	measure_stage=$1
	shift
	forget_answer
	measure_status=0
	measure_output=$("$@" 3>&-) || measure_status=$?
	eval "$measure_output"
	add_costs
	case $measure_status in
	0) return 0 ;;
	1) note_refusal "$measure_stage" "$refused_by" "$reason" "$errno" ;;
	*) fault error "$* ended with status $measure_status" ;;
	esac
}

add_costs() {
	step_search_ns=$((step_search_ns + search_ns))
	step_migrate_ns=$((step_migrate_ns + migrate_ns))
	step_reclaim_ns=$((step_reclaim_ns + reclaim_ns))
	step_map_ns=$((step_map_ns + map_ns))
	step_rest_ns=$((step_rest_ns + rest_ns))
	step_content_ns=$((step_content_ns + content_ns))
	step_cleared_pages=$((step_cleared_pages + cleared_pages))
	[ -z "$refusals" ] || step_refusals="$step_refusals,$refusals"
	[ -z "$attempts" ] || step_attempts=$((${step_attempts:-0} + attempts))
}

fail() {
	note_refusal "$1" "$2" "$3" ""
}

# note_refusal STAGE BY REASON ERRNO: a reason or the kernel's errno, not both
# shellcheck disable=SC2034 # what was refused is recorded by the step
note_refusal() {
	[ -z "$refused_stage" ] || return 1
	case $2 in
	kernel | driver | carveout | shell) ;;
	*) fault error "refused at $1 by $2: who is that?" ;;
	esac
	[ -n "$3$4" ] || fault error "refused at $1 by $2 without a reason"
	refused_stage=$1
	step_refused_by=$2
	step_reason=$3
	step_errno=$4
	step_kernel_log=$kernel_log
	note_blocker
	export CARVEOUT_NO_BLOCKER=1 # only the first refusal of a step is explained
	return 1
}

# shellcheck disable=SC2034 # recorded by the step
note_blocker() {
	[ -z "$blocker_pfn" ] ||
		blocker="{\"pfn\":$blocker_pfn,\"type\":\"$blocker_type\",\"flags\":\"$blocker_flags\",\
\"owner\":\"$blocker_owner\"}"
	blocker_pfn=
}

host() {
	record host "$1"
	stop_for_runner
}

host_and_await() {
	record host "$4"
	measure "$1" carveout pause await "$2" "$3"
}

await() {
	measure "$1" carveout await "$2" "$3" "$4"
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
# shellcheck disable=SC2034 # recorded by the step
reached_dose() {
	per_mille=$((($1 * 1000 + $2 / 2) / $2))
	dose_achieved_percent=$((per_mille / 10)).$((per_mille % 10))
}
