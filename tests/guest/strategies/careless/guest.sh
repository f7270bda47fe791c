# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
takes_from_linux=no

lend() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first
}

lend_more() {
	lend "$1"
}

give_back() {
	operate free give-back
}
