# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# It shares its variables with the steps.
# shellcheck disable=SC2154

# No process is started between the two: a file that it reads would be counted by the second alone.
after_census() {
	vmstat=
	read_snapshot
	while read -r name count; do
		vmstat="$vmstat $name=$count"
	done </proc/vmstat
	echo "counters: phase=$1 snapshot pages_cached=$pages_cached pages_migrated=$pages_migrated" \
		"huge_pages_migrated=$huge_pages_migrated huge_pages_split=$huge_pages_split" \
		"pages_reclaimed=$pages_reclaimed pages_written=$pages_written oom_kills=$oom_kills" \
		"vmstat$vmstat" >/dev/console
}

lend() {
	operate contig lend contig "$1" "$PAGEBLOCK_BYTES" "$PAGEBLOCK_BYTES" any lowest_first
}

give_back() {
	operate free give-back
}
