# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	lend_in_pieces "$1" "$ALIGN_BYTES" take_range
}

take_range() {
	operate isolate lend contig "$1" "$ALIGN_BYTES" "$ALIGN_BYTES" "$ZONE" "$POLICY"
}

give_back() {
	operate free give-back
}
