# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The step that lends: it goes on until the request is full, or until no more can be had.
#
# It shares its variables with the other steps.
# shellcheck disable=SC2034,SC2154

# lend_step REQUEST_BYTES
lend_step() {
	request_bytes=$1
	begin_step lend
	begin_work_beside_lend
	mark_discards
	begin_lend
	asked_bytes=$request_bytes
	[ "$takes_from_linux" = no ] || be_careful
	[ "$LOAD_WORKS" = no ] || begin_work 0
	if [ "$asked_bytes" -eq 0 ] || run_hook lend "$asked_bytes" "$request_bytes"; then
		note_lent
		forget_refusal
	else
		note_lent
		[ "$QUESTION" = request ] || lend_the_rest
	fi
	end_work_beside_lend
	count_discards
	name_shortfall
	name_what_is_in_the_way
	check_step
	count_reclaimed
	record_lend
}

# What the machine's owner regains is counted by the runner, in what QEMU says: from here on, and until
# there. The words are no commands of QEMU's.
mark_discards() {
	[ "$OWNER_REGAINS" = no ] || host '"execute":"mark_discards","arguments":{}'
}

count_discards() {
	[ "$OWNER_REGAINS" = no ] ||
		host "\"execute\":\"count_discards\",\"arguments\":{\"cycle\":$cycle}"
}

# What is lent is counted from here, in granules; one single range is told by 0.
begin_lend() {
	counted_bytes=$GRANULE_BYTES
	[ "$GRANULE" != single ] || counted_bytes=0
	echo "$counted_bytes" >/sys/module/carveout/parameters/snapshot
	read_snapshot
	exhausted=false
	step_log_ns=$log_ns
	migrated_before=$pages_migrated
	whole_before=$huge_pages_migrated
	split_before=$huge_pages_split
	reclaimed_before=$pages_reclaimed
	cached_before=$pages_cached
	written_before=$pages_written
	killed_before=$oom_kills
}

# What the lend came to and what it took. An attempt that only shows that no more can be had is not
# part of it.
note_lent() {
	read_snapshot
	lend_lent_bytes=$lent_bytes
	lend_migrated=$((pages_migrated - migrated_before))
	lend_whole=$((huge_pages_migrated - whole_before))
	lend_split=$((huge_pages_split - split_before))
	lend_reclaimed=$pages_reclaimed
	lend_cached=$pages_cached
	lend_written=$((pages_written - written_before))
	lend_attempts=$step_attempts
	lend_refusals=$step_refusals
	lend_costs="\"search_ns\":$step_search_ns,\"migrate_ns\":$step_migrate_ns,\
\"reclaim_ns\":$step_reclaim_ns,\"map_ns\":$step_map_ns,\"rest_ns\":$step_rest_ns"
	lend_ns=$((step_search_ns + step_migrate_ns + step_reclaim_ns + step_map_ns + step_rest_ns))
	lend_content_ns=$step_content_ns
	lend_cleared_pages=$step_cleared_pages
}

# A lend goes on until another attempt adds nothing: then what is lent is all that can be had.
lend_the_rest() {
	is_defined lend_more || return 0
	while [ "$exhausted" = false ]; do
		if run_hook lend_more $((asked_bytes - lend_lent_bytes)) \
			$((request_bytes - lend_lent_bytes)); then
			note_lent
			forget_refusal
			return 0
		fi
		read_snapshot
		if [ "$lent_bytes" -gt "$lend_lent_bytes" ]; then
			note_lent
		else
			exhausted=true
		fi
	done
}

# Where the strategy did all that was asked of it, and yet it is less than the request.
name_shortfall() {
	[ -z "$refused_stage" ] && [ "$granted_bytes" -lt "$request_bytes" ] || return 0
	[ "$QUESTION" = request ] || exhausted=true
	if [ "$asked_bytes" -lt "$request_bytes" ]; then
		fail careful carveout host_needs_the_rest || :
	else
		fail granule carveout not_in_granules || :
	fi
}

# Of a lend that ended short, the page that stands in the way of one piece more, or where one range is
# wanted, of a larger one. A strategy says where its memory comes from: blocker_area and, where that is
# only a part of the RAM, blocker_range; with an area of `none` nothing can be in the way. Where all of
# something has to go or nothing, blocker_bytes says how much that is.
name_what_is_in_the_way() {
	[ "$granted_bytes" -lt "$request_bytes" ] && [ "$blocker" = null ] || return 0
	[ "$step_reason" != host_needs_the_rest ] && [ "$blocker_area" != none ] || return 0
	wanted_bytes=${blocker_bytes:-$PIECE_BYTES}
	[ "$GRANULE" != single ] || wanted_bytes=$((granted_bytes + PAGEBLOCK_BYTES))
	# An empty word is no argument.
	# shellcheck disable=SC2086
	eval "$(carveout blocker "$wanted_bytes" "$PIECE_BYTES" "$blocker_area" $blocker_range 3>&-)"
	note_blocker
}

# A careful monitor leaves the host what it needs to work, whatever could still be taken from it:
# sets asked_bytes, in whole pieces.
be_careful() {
	read_spare
	[ "$spare_bytes" -ge "$asked_bytes" ] ||
		asked_bytes=$((spare_bytes / PIECE_BYTES * PIECE_BYTES))
}

# Sets spare_bytes. MemAvailable is what the kernel believes that it can give without harm, page cache
# that it would drop included.
read_spare() {
	read_meminfo MemAvailable
	spare_bytes=$((meminfo_bytes - RESERVE_BYTES))
	[ "$spare_bytes" -ge 0 ] || spare_bytes=0
}

# read_meminfo NAME: sets meminfo_bytes, 0 where the kernel does not tell
read_meminfo() {
	while read -r key meminfo_kib _; do
		[ "$key" != "$1:" ] || {
			meminfo_bytes=$((meminfo_kib * 1024))
			return 0
		}
	done </proc/meminfo
	meminfo_bytes=0
}

# alloc_contig_range() drops clean page cache without counting it as reclaimed, so
# what has left the page cache counts when it is more.
count_reclaimed() {
	reclaimed=$((lend_reclaimed - reclaimed_before))
	dropped=$((cached_before - lend_cached))
	[ "$reclaimed" -ge "$dropped" ] || reclaimed=$dropped
}

# Sets refusals_json: what is counted by errno, in the order of their names.
tell_refusals_json() {
	refusals_json=null
	[ -n "$lend_refusals" ] || return 0
	refusals_json="{$(echo "$lend_refusals" | tr , '\n' | sort | awk -F: '
		$1 != last && last != "" { printf "\"%s\":%d,", last, sum; sum = 0 }
		{ last = $1; sum += $2 }
		END { printf "\"%s\":%d", last, sum }')}"
}

record_lend() {
	tell_refusal_json
	tell_refusals_json
	record lend "\"cycle\":$cycle,\"request_bytes\":$request_bytes,\"asked_bytes\":$asked_bytes,$refusal_json\
\"lent_bytes\":$lent_bytes,\"granted_bytes\":$granted_bytes,\"exhausted\":$exhausted,\
\"revocable_bytes\":$revocable_bytes,\
\"extents\":$extents,\"largest_extent_bytes\":$largest_extent_bytes,\
\"lend_ns\":$lend_ns,\"costs\":{$lend_costs},\
\"content_ns\":$lend_content_ns,\"cleared_pages\":$lend_cleared_pages,\
\"attempts\":${lend_attempts:-null},\"refusals\":$refusals_json,\"pages_migrated\":$lend_migrated,\
\"huge_pages_migrated\":$lend_whole,\"huge_pages_split\":$lend_split,\
\"pages_reclaimed\":$reclaimed,\"pages_written\":$lend_written,\
\"oom_kills\":$((oom_kills - killed_before)),\"work\":$work_json,\"blocker\":$blocker"
}
