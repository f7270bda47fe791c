# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any lowest_first
}

while_lent() {
	carveout poke 7
}

give_back() {
	operate free give-back
}
