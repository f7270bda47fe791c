# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The device's address is the resource that the driver claims for it, and what is
# plugged shows in MemTotal. The driver does not say when it is done: /strategy/await
# waits until MemTotal has reached a value or has stood still for QUIET_MS.

QUIET_MS=2000

prepare() {
	/strategy/await settled "$QUIET_MS" >/dev/null
	device=$(awk '/ : virtio[0-9]+$/ { print $1; exit }' /proc/iomem)
	[ -n "$device" ] || fail device ENODEV || return 1
	device_ranges=$((0x${device%-*})):$LENDABLE_BYTES
	ram_ranges="$ram_ranges $device_ranges"
	[ "$(plugged_bytes)" -eq "$LENDABLE_BYTES" ] || fail plug ENOMEM
}

# MemTotal cannot tell it, because the memmap of plugged memory was free memory before.
plugged_bytes() {
	awk '/System RAM \(virtio_mem\)/ { print $1 }' /proc/iomem | {
		plugged=0
		while IFS=- read -r first last; do
			plugged=$((plugged + 0x$last + 1 - 0x$first))
		done
		echo "$plugged"
	}
}

lend() {
	whole_total_bytes=$(total_bytes)
	operate baseline absent-baseline "$device_ranges"
	resize unplug $((LENDABLE_BYTES - $1)) $((whole_total_bytes - $1))
	unplug_status=$?
	operate adopt lend absent "$device_ranges" && return $unplug_status
}

give_back() {
	resize plug "$LENDABLE_BYTES" "$whole_total_bytes"
	plug_status=$?
	operate forget forget && return $plug_status
}

total_bytes() {
	echo $(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) * 1024))
}

# resize STAGE DEVICE_BYTES TOTAL_BYTES: the clock starts when the machine goes on
resize() {
	host "\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/lendable\",\"property\":\"requested-size\",\"value\":$2}"
	started_ns=$(/strategy/await clock)
	measure "$1" /strategy/await reached "$3" "$started_ns" "$QUIET_MS"
}
