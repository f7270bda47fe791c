# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The steps of a trial, and what becomes of a strategy's or a load's hooks in them.
#
# The lend step has a file of its own, and shares the variables.
# shellcheck disable=SC2034

cycle=0
ram_ranges=
refused_stage=
blocker=null
worker_pids=
hooks=
# Whether a lend takes from what Linux has: a strategy that set memory aside before says no.
takes_from_linux=yes
# Where a page may have been in the way of a lend: any, movable, cma, blocks or none; START:BYTES, or
# all; and how much of it has to go, or a piece.
blocker_area=any
blocker_range=
blocker_bytes=
oom_kills_seen=0
dose_achieved_percent=0
# Of MemAvailable, in a host that has no memory free.
LEFT_BYTES=2097152
# What the module's snapshot holds.
oom_kills=0
pages_cached=0
pages_migrated=0
huge_pages_migrated=0
huge_pages_split=0
pages_reclaimed=0
pages_written=0
lent_bytes=0
granted_bytes=0
extents=0
largest_extent_bytes=0
free_pages=0
revocable_bytes=0
log_ns=0
# What the tool answers, by evaluating its name=value lines.
returned_bytes=0
pages_checked=0
pages_bad=0
pages_overlapping=0
pages_free=0
zero_ns=0
zero_pages=0
scribbled_bytes=0
filler_pid=
filled_bytes=0
left_bytes=0
movable_allocator_bytes=0
movable_address_bytes=0
movable_untried_bytes=0
unmovable_allocator_bytes=0
unmovable_address_bytes=0
unmovable_untried_bytes=0
# What this cycle's lend step lent.
verified_bytes=0

# begin_step STAGE: from here on, faults and costs are this step's
begin_step() {
	stage=$1
	forget_costs
	refused_stage=
	step_refused_by=
	step_reason=
	step_errno=
	step_kernel_log=
	blocker=null
	unset CARVEOUT_NO_BLOCKER
	record stage "\"stage\":\"$stage\",\"cycle\":$cycle"
}

forget_costs() {
	step_search_ns=0
	step_migrate_ns=0
	step_reclaim_ns=0
	step_map_ns=0
	step_rest_ns=0
	step_content_ns=0
	step_cleared_pages=0
	step_attempts=
	step_refusals=
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
	! is_defined "$1" || run_hook "$@" ||
		fault error "$1 was $(tell_refusal)"
}

tell_refusal() {
	echo "refused at $refused_stage by $step_refused_by: $step_reason$step_errno"
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
	for hook in prepare prepare_load load lend lend_more while_lent give_back after_census; do
		case $(type "$hook" 2>/dev/null) in
		*function*) hooks="$hooks$hook " ;;
		esac
	done
}

# A load whose worker was killed is not the load that was asked for: the trial ends.
check_step() {
	read_snapshot
	if [ "$oom_kills" -gt "$oom_kills_seen" ] && [ -n "$worker_pids" ]; then
		[ "$stage" != load ] || record_refused_load
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

# Sets pages_cached; pages_migrated, huge_pages_migrated, huge_pages_split, pages_reclaimed and
# oom_kills, counted since boot; of what is lent since the lend step began lent_bytes,
# granted_bytes (those in whole granules), extents and largest_extent_bytes; log_ns, the clock of the
# kernel's log; free_pages, with those on per-CPU lists; and revocable_bytes, of
# all that is lent what Linux may take back at any moment.
read_snapshot() {
	read -r pages_cached pages_migrated huge_pages_migrated huge_pages_split \
		pages_reclaimed pages_written oom_kills \
		lent_bytes granted_bytes extents largest_extent_bytes log_ns free_pages revocable_bytes \
		</sys/module/carveout/parameters/snapshot ||
		fault error "the module gave no snapshot"
}

load_step() {
	begin_step load
	read_snapshot
	free_before=$free_pages
	run_hook load || fault error "load was $(tell_refusal)"
	check_step
	record_load $(((free_before - free_pages) * PAGE_BYTES))
}

# A worker that was killed while it took its memory has noted how far it came; its memory is gone.
record_refused_load() {
	reached_bytes=0
	[ ! -r /run/reached ] || read -r reached_bytes </run/reached
	reached_dose "$reached_bytes" "$RAM_BYTES"
	record_load null
}

# record_load PHYSICAL_BYTES
record_load() {
	record load "\"dose_achieved_percent\":$dose_achieved_percent,\
\"physical_bytes\":$1,\"oom_kills\":$oom_kills"
}

# census PHASE
census() {
	begin_step census
	# The ranges are words on purpose.
	# shellcheck disable=SC2086
	census_members=$(carveout census "$RAM_BYTES" $ram_ranges 3>&-)
	case $? in
	0) record census "\"cycle\":$cycle,\"phase\":\"$1\",$census_members" ;;
	1) fault books "$census_members" ;;
	*) fault error "the census failed" ;;
	esac
	[ "$1" = unloaded ] || run_optional_hook after_census "$1"
}

# A hook that did all that was asked was not refused, whatever it tried before.
forget_refusal() {
	refused_stage=
	step_refused_by=
	step_reason=
	step_errno=
	step_kernel_log=
	blocker=null
}

# Sets refusal_json: whose word it is that not all was done, if so. The log is long: it is read only
# then.
tell_refusal_json() {
	kernel_log=$step_kernel_log
	[ -z "$refused_stage" ] || [ -n "$kernel_log" ] || eval "$(carveout kernel-log "$step_log_ns" 3>&-)"
	refusal_json=
	for member in stage:"$refused_stage" refused_by:"$step_refused_by" reason:"$step_reason" \
		errno:"$step_errno" kernel_log:"$kernel_log"; do
		text_or_null "${member#*:}"
		refusal_json="$refusal_json\"${member%%:*}\":$json,"
	done
}

# text_or_null VALUE: sets `json`
text_or_null() {
	json=null
	[ -z "$1" ] || json="\"$1\""
}

# Between the writing and the reading of the pattern the host works with what it believes to be free.
# Reclaim and compaction change the host for good: they come when no further request will meet it.
write_pattern() {
	begin_step verify
	verified_bytes=$lent_bytes
	written=$(carveout pattern write "$SEED" 3>&-) ||
		fault error "writing the pattern failed"
	eval "$written"
	scribble
}

scribble() {
	compacted=false
	reclaim=
	! is_last_request || {
		compacted=true
		reclaim=reclaim
	}
	read_snapshot
	reclaimed_before=$pages_reclaimed
	# An empty word is no argument.
	# shellcheck disable=SC2086
	scribbled=$(carveout scribble "$SEED" $reclaim 3>&-) ||
		fault error "scribbling over free memory failed"
	eval "$scribbled"
	read_snapshot
	reclaimed=$((pages_reclaimed - reclaimed_before))
}

is_last_request() {
	# The requests are words on purpose.
	# shellcheck disable=SC2086
	set -- $REQUESTS_BYTES
	[ "$cycle" -eq $# ]
}

check_pattern() {
	checked=$(carveout pattern check "$SEED" 3>&-) ||
		fault error "reading the pattern failed"
	eval "$checked"
	record verify "\"cycle\":$cycle,\"zero_ns\":$zero_ns,\"zero_pages\":$zero_pages,\
\"pages_checked\":$pages_checked,\"pages_bad\":$pages_bad,\
\"pages_overlapping\":$pages_overlapping,\"pages_free\":$pages_free,\
\"scribbled_bytes\":$scribbled_bytes,\"pages_reclaimed\":$reclaimed,\
\"compacted\":$compacted"
}

give_back_step() {
	begin_step give_back
	fill_memory
	read_snapshot
	step_log_ns=$log_ns
	returned_bytes=0
	! run_hook give_back || forget_refusal
	empty_memory
	check_step
	tell_refusal_json
	record give_back "\"cycle\":$cycle,$refusal_json\"returned_bytes\":$returned_bytes,\
\"pressure\":$pressure_json,\
\"give_back_ns\":$((step_search_ns + step_migrate_ns + step_reclaim_ns + step_map_ns + step_rest_ns))"
}

# let_workers_die SCORE: 1000 to be the first of whom the kernel takes memory
let_workers_die() {
	for worker_pid in $worker_pids; do
		echo "$1" >"/proc/$worker_pid/oom_score_adj"
	done
}

# The memory comes back while the host has little free, or none whenever a file of the kernel's is
# written. Whoever fills it is the first to be killed, before any load, however large.
fill_memory() {
	pressure_json=null
	[ "$QUESTION" != return_without_memory ] || {
		filled_bytes=0
		left_bytes=0
		export CARVEOUT_STARVE=1
	}
	[ "$QUESTION" = return_under_pressure ] || return 0
	let_workers_die 0
	filled=$(carveout fill $LEFT_BYTES 3>&-) || fault error "the memory could not be filled"
	eval "$filled"
}

empty_memory() {
	filler_killed=false
	case $QUESTION in
	return_under_pressure) end_filler ;;
	return_without_memory) unset CARVEOUT_STARVE ;;
	*) return 0 ;;
	esac
	pressure_json="{\"filled_bytes\":$filled_bytes,\"left_bytes\":$left_bytes,\
\"filler_killed\":$filler_killed}"
}

# That the filler was killed says what the give back needed: it is no death of the load's.
end_filler() {
	filler_killed=true
	if worker_lives "$filler_pid"; then
		filler_killed=false
		kill -9 "$filler_pid"
		while worker_lives "$filler_pid"; do :; done
	else
		oom_kills_seen=$((oom_kills_seen + 1))
	fi
	let_workers_die 1000
}

# Where nothing was lent, nothing came back, and there is nothing to say.
reuse_step() {
	[ "$verified_bytes" -gt 0 ] || return 0
	begin_step reuse
	probed=$(carveout reuse last 3>&-) || fault error "the reuse probe failed"
	eval "$probed"
	check_step
	came_back "$movable_allocator_bytes" "$movable_address_bytes" "$movable_untried_bytes"
	movable_json=$json
	came_back "$unmovable_allocator_bytes" "$unmovable_address_bytes" "$unmovable_untried_bytes"
	record reuse "\"cycle\":$cycle,\"movable\":$movable_json,\"unmovable\":$json"
}

# came_back ALLOCATOR_BYTES ADDRESS_BYTES UNTRIED_BYTES: sets `json`
came_back() {
	json="{\"allocator_bytes\":$1,\"address_bytes\":$2,\"untried_bytes\":$3}"
}
