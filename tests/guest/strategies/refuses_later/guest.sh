# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# The whole memory of the host is no candidate.
lend() {
	wanted_bytes=$1
	[ "$cycle" -eq 1 ] || wanted_bytes=$RAM_BYTES
	operate isolate lend contig "$wanted_bytes" "$wanted_bytes" "$PAGEBLOCK_BYTES" any free_first
}

give_back() {
	operate free give-back
}
