# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

load() {
	ram_pageblocks=$((RAM_BYTES / PAGEBLOCK_BYTES))
	pages=0
	operate place unmovable $((ram_pageblocks * DOSE_PERMILLE / 1000)) "$SEED"
	reached_dose "$pages" "$ram_pageblocks"
}

# Between the census and the lend that follows it, or after the last census.
after_census() {
	[ "$1" != lent ] || return 0
	{
		echo "compaction_test: dose_permille=$DOSE_PERMILLE seed=$SEED phase=$1"
		grep MemFree: /proc/meminfo
		run_test || :
		echo "compaction_test: end"
	} >/dev/console
}

# A program like any other: what it takes too much kills it, and not the host. It locks memory without
# huge pages, which compaction leaves where they are.
run_test() (
	exec 3>&-
	echo 0 >/proc/self/oom_score_adj
	echo never >/sys/kernel/mm/transparent_hugepage/enabled
	exec /load/compaction_test
)
