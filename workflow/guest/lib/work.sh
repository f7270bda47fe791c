# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A load that goes on: its worker reads from a pipe how many steps it shall do, or 0 for as many as it
# can until the next line, and answers with how many it did. A step frees some of what the load holds
# and takes as much again. Without a word from here it stands still, as a census wants it.
#
# It shares its variables with the other steps.
# shellcheck disable=SC2034,SC2154

# Guest time is counted by the clock of the kernel's log.
ALONE_STEPS=64
ANSWER_LIMIT_S=60

# Before the load starts its worker, which looks for the pipes.
open_work_channel() {
	[ "$LOAD_WORKS" = yes ] || [ "$QUESTION" = cycles ] || return 0
	mkfifo /run/work /run/worked
	exec 5<>/run/work 6<>/run/worked
}

# begin_work STEPS: 0 for as many as can be until end_work
begin_work() {
	read_snapshot
	work_begins_ns=$log_ns
	echo "$1" >&5
}

# Sets worked_steps and worked_ns.
end_work() {
	worked_steps=
	# shellcheck disable=SC3045 # busybox's shell has it
	read -t $ANSWER_LIMIT_S -r worked_steps <&6 || check_step
	[ -n "$worked_steps" ] || fault error "the load's worker does not answer"
	read_snapshot
	worked_ns=$((log_ns - work_begins_ns))
}

# work STEPS
work() {
	begin_work "$1"
	end_work
}

# What the load does while nobody disturbs it is what it is held against.
begin_work_beside_lend() {
	work_json=null
	[ "$LOAD_WORKS" = yes ] || return 0
	work $ALONE_STEPS
	alone_steps=$worked_steps
	alone_ns=$worked_ns
}

end_work_beside_lend() {
	[ "$LOAD_WORKS" = yes ] || return 0
	echo 0 >&5
	end_work
	work_json="{\"alone_steps\":$alone_steps,\"alone_ns\":$alone_ns,\
\"steps\":$worked_steps,\"ns\":$worked_ns}"
}

# Between two lends of a host whose memory shall not stay as it was.
churn_step() {
	[ "$QUESTION" = cycles ] && [ "$cycle" -gt 1 ] || return 0
	begin_step churn
	work "$CHURN_STEPS"
	check_step
}
