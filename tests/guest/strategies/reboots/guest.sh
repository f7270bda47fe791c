# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
[ "$WAY" = blocks ] || takes_from_linux=no

prepare() {
	find_blocks
}

stand() {
	host "\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"type\"}"
}

# With its load, before it has lent anything.
after_census() {
	[ "$1" != before ] || stand
}

lend() {
	if [ "$WAY" = blocks ]; then
		lend_blocks "$RAM_START_BYTES:$RAM_BYTES" "$1" host highest_first
	else
		operate map lend carveout $((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES)) "$1"
	fi
}

# To the console: what is lent, and who still says that it is Linux's.
while_lent() {
	{
		echo "reboots: lent"
		dmesg | grep -A1 "cut here"
		grep "System RAM" /proc/iomem
		echo "reboots: device tree $(hexdump -v -e '1/1 "%02x"' /proc/device-tree/memory@*/reg)"
		[ ! -d /sys/kernel/debug ] || mount -t debugfs debugfs /sys/kernel/debug
		[ ! -e /sys/kernel/debug/memblock/memory ] ||
			sed 's/^/reboots: memblock/' /sys/kernel/debug/memblock/memory
		echo "reboots: end"
	} >/dev/console
	stand
}

give_back() {
	operate add give-back
}
