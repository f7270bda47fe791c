# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# All of a trial runs on the first CPU; the censuses run on the second, so that blocks go while
# their frames are being counted. No CPU sleeps then, and all of that time is emulated: it is short.

# A census keeps the driver waiting, and is read again when memory goes meanwhile.
QUIET_POLLS=16
ROUNDS=2
# How often a census reads a host that does not stand still: MOST_TRIES of tools/census.c.
export MOST_TRIES=10

prepare() {
	await_quiet # until the driver has plugged all
	device=$(awk '/ : virtio[0-9]+$/ { print $1; exit }' /proc/iomem)
	[ -n "$device" ] || fault error "there is no virtio-mem device"
	ram_ranges="$ram_ranges $((0x${device%-*})):$LENDABLE_BYTES"
}

# A little, whatever was asked for, and from below: what is lent of the device's own memory keeps its
# blocks from going, and what is to leave them needs room elsewhere.
lend() {
	range_bytes=$((LENDABLE_BYTES / 4))
	operate isolate lend contig $range_bytes $range_bytes "$PAGEBLOCK_BYTES" any lowest_first
}

while_lent() {
	mkdir -p /run/censuses
	# The loop's own shell expands it; the ranges are words on purpose. While the host changes, a
	# census reads it again and again. Its books need not balance in the end, which is no fault
	# here: status 1.
	# shellcheck disable=SC2016,SC2086
	taskset 2 sh -c 'readings=0; while [ ! -e /run/enough ]; do
		carveout census $1 >/run/censuses/last 2>&1
		case $? in
		0) readings=$((readings + $(sed "s/^\"tries\":\([0-9]*\),.*/\1/" /run/censuses/last))) ;;
		1) readings=$((readings + MOST_TRIES)) ;;
		esac
		echo "$readings" >/run/censuses/readings
	done' census "$RAM_BYTES $ram_ranges" 3>&- &
	censuses_pid=$!
	remove_and_add
	: >/run/enough
	wait "$censuses_pid"
	count_readings
}

remove_and_add() {
	whole_kib=$(total_kib)
	least_kib=$whole_kib
	round=0
	while [ $((round += 1)) -le "$ROUNDS" ]; do
		resize 0
		[ "$(total_kib)" -ge "$least_kib" ] || least_kib=$(total_kib)
		resize "$LENDABLE_BYTES"
	done
	echo "hot_removed: $((whole_kib - least_kib)) KiB went" >/dev/console
	[ "$least_kib" -lt "$whole_kib" ] || fault error "no block was removed"
}

resize() {
	host "\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/lendable\",\"property\":\"requested-size\",\"value\":$1}"
	await_quiet
}

# The driver does not say when it is done, but what it does shows in MemTotal.
await_quiet() {
	seen_kib=
	polls=0
	while [ "$polls" -lt "$QUIET_POLLS" ]; do
		now_kib=$(total_kib)
		polls=$((polls + 1))
		[ "$now_kib" = "$seen_kib" ] || polls=0
		seen_kib=$now_kib
		sleep 0.05
	done
}

total_kib() {
	awk '/^MemTotal:/ { print $2 }' /proc/meminfo
}

count_readings() {
	read -r readings </run/censuses/readings
	echo "hot_removed: read $readings times meanwhile" >/dev/console
	[ "$readings" -ge "$ROUNDS" ] ||
		fault error "wanted a reading in every round, found $readings in all"
	rm -r /run/censuses /run/enough
}

give_back() {
	operate free give-back
}
