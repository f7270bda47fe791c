# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first
}

while_lent() {
	mount -t debugfs debugfs /sys/kernel/debug
	echo READ_AFTER_FREE >/sys/kernel/debug/provoke-crash/DIRECT
}

give_back() {
	operate free give-back
}
