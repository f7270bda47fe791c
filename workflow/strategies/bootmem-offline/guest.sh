# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Memory that comes back shall be what it was: online, and of use for anything, or in ZONE_MOVABLE.

ZONE=${ZONE:-any}
RAM=$RAM_START_BYTES:$RAM_BYTES

prepare() {
	find_blocks
	online_as=online_kernel
	[ "$ZONE" = any ] || online_as=online_movable
	echo $online_as >"$BLOCKS/auto_online_blocks" || fail policy kernel not_taken
}

lend() {
	lend_blocks "$RAM" "$1" host highest_first
}

lend_more() {
	lend_blocks "$RAM" "$1" host lowest_first
}

give_back() {
	operate add give-back
}
