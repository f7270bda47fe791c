# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# Before anything of the load is there, its files included.
prepare() {
	counted_before=$(count_frames)
}

count_frames() {
	empty_lists >/dev/null
	/strategy/count_frames $((PAGEBLOCK_BYTES / PAGE_BYTES)) || fault error "count_frames failed"
}

# Frames on per-CPU lists look like the kernel's own. The kernel empties the lists before it
# isolates a range.
empty_lists() {
	lend "$PAGEBLOCK_BYTES" || fault error "no pageblock could be isolated"
	give_back
}

# The trial ends here: what comes after the load says nothing of its dose.
after_census() {
	echo "counted: seed=$SEED dose_permille=$DOSE_PERMILLE before $counted_before after" \
		"$(count_frames)" >/dev/console
	finish
}

lend() {
	operate isolate lend contig "$1" "$PAGEBLOCK_BYTES" "$PAGEBLOCK_BYTES" any free_first
}

give_back() {
	operate free give-back
}
