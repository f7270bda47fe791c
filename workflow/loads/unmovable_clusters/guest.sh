# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

CLUSTER_PAGEBLOCKS=16

# As the load unmovable_pages, but for the places.
load() {
	ram_pageblocks=$((RAM_BYTES / PAGEBLOCK_BYTES))
	pages=0
	operate place unmovable $((ram_pageblocks * DOSE_PERMILLE / 1000)) "$SEED" $CLUSTER_PAGEBLOCKS
	reached_dose "$pages" "$ram_pageblocks"
}
