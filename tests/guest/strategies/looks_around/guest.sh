# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# With the drivers of what a machine might have. Its own address would answer if any network did.
prepare() {
	ifconfig lo 127.0.0.1 up 2>/dev/null || :
	answers=no
	for address in 10.0.2.2 10.0.2.3 127.0.0.1; do
		! nc -w 1 "$address" 22 </dev/null >/dev/null 2>&1 || answers=$address
	done
	mounts=no
	mkdir -p /tmp/share
	for type in 9p virtiofs; do
		! mount -t $type share /tmp/share 2>/dev/null || mounts=$type
	done
	unavailable "net $(names /sys/class/net); block $(names /sys/block); virtio $(
		names /sys/bus/virtio/devices
	); answers $answers; mounts $mounts; route $(wc -l </proc/net/route)"
}

names() {
	found=
	for name in "$1"/*; do
		[ ! -e "$name" ] || found="$found${found:+,}${name##*/}"
	done
	echo "${found:-none}"
}

lend() {
	fail look kernel not_reached
}

give_back() {
	operate free give-back
}
