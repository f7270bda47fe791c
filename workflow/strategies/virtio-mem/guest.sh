# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The device's address is the resource that the driver claims for it, and what is
# plugged shows in MemTotal. All that the driver does on a request it does in one work
# item: memory that goes offline is removed, with its memmap, before the item ends.

DRIVER_WORK=virtio_mem_run_wq
BEGIN_LIMIT_NS=10000000000
PLUG_TRIES=300 # of 0.1 s
SETTLE_TRIES=3

# shellcheck disable=SC2034 # blocker_range is for the lend step
prepare() {
	await_plugged
	device=$(awk '/ : virtio[0-9]+$/ { print $1; exit }' /proc/iomem)
	[ -n "$device" ] || fail device shell no_device || return 1
	device_ranges=$((0x${device%-*})):$LENDABLE_BYTES
	ram_ranges="$ram_ranges $device_ranges"
	blocker_range=$device_ranges
	[ "$(plugged_bytes)" -eq "$LENDABLE_BYTES" ] || fail plug driver not_reached
}

# The driver may have begun before the module that could wait for it: once a boot, and outside of
# all measuring, it is waited for by looking. The resource is there before its pages are online.
await_plugged() {
	tries=$PLUG_TRIES
	settled=0
	total=0
	while [ $settled -lt $SETTLE_TRIES ] && [ $tries -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
		last_total=$total
		total=$(total_bytes)
		settled=$((settled + 1))
		[ "$(plugged_bytes)" -eq "$LENDABLE_BYTES" ] && [ "$total" -eq "$last_total" ] ||
			settled=0
	done
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
	unplug "$1"
}

# Asked for the same size once more, the driver does nothing: so it is asked for what it has reached
# in between.
# shellcheck disable=SC2154 # set by the lend step
lend_more() {
	resize unplug $((LENDABLE_BYTES - lent_bytes)) $((whole_total_bytes - lent_bytes))
	unplug $((lent_bytes + $1))
}

# unplug BYTES: so many of the whole device
unplug() {
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

# resize STAGE DEVICE_BYTES TOTAL_BYTES
resize() {
	host_and_await "$1" "$DRIVER_WORK" "$BEGIN_LIMIT_NS" "\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/lendable\",\"property\":\"requested-size\",\"value\":$2}" ||
		return 1
	[ "$(total_bytes)" -eq "$3" ] || fail "$1" driver not_reached
}
