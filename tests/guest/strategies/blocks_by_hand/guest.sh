# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

added_bytes=$((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES))
ADDED=${ADDED:-0}

prepare() {
	find_blocks
	[ "$ADDED" -eq 0 ] || operate add add-memory $added_bytes:"$LENDABLE_BYTES" host
}

# What stands still moves nothing: a block is tried once.
lend() {
	block=$(((RAM_START_BYTES + RAM_BYTES) / BLOCK_BYTES))
	[ "$ADDED" -eq 0 ] || block=$((added_bytes / BLOCK_BYTES + 1))
	while [ $((block -= 1)) -ge $((RAM_START_BYTES / BLOCK_BYTES)) ]; do
		offline $block once
	done
	[ "$ADDED" -eq 0 ] || offline $((added_bytes / BLOCK_BYTES)) again
	fail by_hand shell nothing_lent
}

# offline BLOCK WORD
offline() {
	carveout write /sys/devices/system/memory/memory"$1"/state offline >/run/said
	errno=
	eval "$(grep errno= /run/said)"
	read -r state </sys/devices/system/memory/memory"$1"/state
	echo "by_hand: $2 $1 ${errno:-done} $state" >/dev/console
}

give_back() {
	operate free give-back
}
