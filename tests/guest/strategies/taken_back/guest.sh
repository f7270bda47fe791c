# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What one block of the device held is lent while it is offline. Then the host takes the block back,
# and nobody tells the lend.

PLUG_TRIES=300 # of 0.1 s

prepare() {
	tries=$PLUG_TRIES
	until block=$(online_block) || [ "$((tries -= 1))" -eq 0 ]; do
		sleep 0.1
	done
	[ -n "$block" ] || fault error "no block came online"
	device=$(awk '/ : virtio[0-9]+$/ { print $1; exit }' /proc/iomem)
	device_ranges=$((0x${device%-*})):$LENDABLE_BYTES
	ram_ranges="$ram_ranges $device_ranges"
}

# The last that came online, all of which is movable.
online_block() {
	movable=$(grep -lx Movable /sys/devices/system/memory/memory*/valid_zones) || return 1
	[ "$(echo "$movable" | wc -l)" -eq $((LENDABLE_BYTES / 134217728)) ] || return 1
	last=$(echo "$movable" | tail -n 1)
	echo "${last%/*}"
}

lend() {
	operate baseline absent-baseline "$device_ranges"
	echo offline >"$block/state" || fault error "the block stays online"
	operate adopt lend absent "$device_ranges" || return 1
	echo online_movable >"$block/state" || fault error "the block stays offline"
}

give_back() {
	operate forget forget
}
