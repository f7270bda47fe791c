# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What strategies and loads stand on.
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

# What a program answers, by evaluating its name=value lines.
ns=0
errno=
blocker_pfn=
blocker_type=
blocker_flags=

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

# shellcheck disable=SC2034 # what was refused is recorded by the step
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
