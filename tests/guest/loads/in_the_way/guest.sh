# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

FOLDER=/run/in_the_way
HUGE_PAGE=/sys/kernel/mm/hugepages/hugepages-32768kB

prepare_load() {
	mkdir $FOLDER
	mount -t ramfs ramfs $FOLDER || fault error "the memory file system could not be mounted"
}

load() {
	held_bytes=0
	echo 1 >$HUGE_PAGE/nr_hugepages
	start_worker /load/plant $FOLDER
	pages=0
	operate place unmovable $((RAM_BYTES / PAGEBLOCK_BYTES / 8)) "$SEED"
	reached_dose 0 1
}

after_census() {
	[ "$1" != before ] ||
		/load/explain "$RAM_START_BYTES" "$RAM_BYTES" "$PAGEBLOCK_BYTES" >/dev/console ||
		fault error "explain failed"
}
