# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# The census of phase `before` was taken just now: only the shell ran in between.
lend() {
	{
		/strategy/own_map $((ram_start_bytes / page_bytes)) $((RAM_BYTES / pageblock_bytes)) \
			$((pageblock_bytes / page_bytes)) || fault error "own_map failed"
		awk '/^Number of blocks/ { for (i = 5; i <= NF; i++) if ($i == "CMA") column = i - 1; next }
			column { cma += $column } END { print "own_cma_blocks: " cma + 0 }' /proc/pagetypeinfo
	} >/dev/console
	operate isolate lend contig "$1" "$ALIGN_BYTES" "$ALIGN_BYTES" any
}

give_back() {
	operate free give-back
}
