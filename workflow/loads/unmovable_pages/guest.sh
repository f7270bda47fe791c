# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# Where a strategy leaves too few pageblocks that the kernel may use for such pages, the
# tool places what it can and the dose achieved says how much that was.
load() {
	ram_pageblocks=$((RAM_BYTES / PAGEBLOCK_BYTES))
	pages=0
	operate place unmovable $((ram_pageblocks * DOSE_PERMILLE / 1000)) "$SEED"
	reached_dose "$pages" "$ram_pageblocks"
}
