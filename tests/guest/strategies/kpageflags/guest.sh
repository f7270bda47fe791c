# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# The census of phase `before` was taken just now: only the shell ran in between.
lend() {
	{
		/strategy/own_map $((RAM_START_BYTES / PAGE_BYTES)) $((RAM_BYTES / PAGEBLOCK_BYTES)) \
			$((PAGEBLOCK_BYTES / PAGE_BYTES)) || fault error "own_map failed"
		awk '/^Number of blocks/ { for (i = 5; i <= NF; i++) if ($i == "CMA") column = i; next }
			column { cma += $column } END { print "own_cma_blocks: " cma + 0 }' /proc/pagetypeinfo
	} >/dev/console
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any lowest_first
}

give_back() {
	operate free give-back
}
