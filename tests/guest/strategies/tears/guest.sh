# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# A line too many among the records: every later one has the wrong number.
lend() {
	echo torn >&3
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any lowest_first
}

give_back() {
	operate free give-back
}
