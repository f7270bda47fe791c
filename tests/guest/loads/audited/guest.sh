# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

IMAGE=/run/audited.img
FOLDER=/run/audited

prepare_load() {
	make_folder || fault error "the file system could not be made"
}

make_folder() {
	truncate -s 16M $IMAGE &&
		mke2fs -F -b 4096 $IMAGE >/dev/null &&
		losetup /dev/loop0 $IMAGE &&
		mkdir $FOLDER &&
		mount -t ext4 -o noatime /dev/loop0 $FOLDER &&
		truncate -s $((RAM_BYTES / 32)) $FOLDER/cached &&
		sync
}

# Where a huge page with holes was split to be migrated, khugepaged makes it whole again, which takes
# memory for the holes: at any time, and so between a census and its audit.
stop_khugepaged() {
	echo 4000000000 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
}

load() {
	pinned_bytes=0
	stop_khugepaged || fault error "khugepaged could not be stopped"
	cat $FOLDER/cached >/dev/null
	start_worker /load/uses $((RAM_BYTES / 16)) $FOLDER
	# What is dirty would be written in the middle of an audit, into memory that is new.
	sync
	echo "audit of: pinned=$((pinned_bytes / PAGE_BYTES))" >/dev/console
	reached_dose 0 1
}

# Every request for a census is watched.
carveout() {
	if [ "$1" = census ]; then
		/load/audit /bin/carveout "$@"
	else
		command carveout "$@"
	fi
}

# The machine's own word on how much of its device is plugged.
# shellcheck disable=SC2154 # the library counts the cycles
after_census() {
	echo "audit of: cycle=$cycle phase=$1" >/dev/console
	[ -z "${device_ranges:-}" ] ||
		host '"execute":"qom-get","arguments":{"path":"/machine/peripheral/lendable","property":"size"}'
}
