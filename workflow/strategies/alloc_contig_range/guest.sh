# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
blocker_area=$ZONE

lend() {
	if [ "$GRANULE" = single ]; then
		operate isolate lend largest "$1" "$PAGEBLOCK_BYTES" "$ZONE"
	else
		take_pieces "$1" "$POLICY"
	fi
}

# Of the largest range, the kernel itself has refused more before.
lend_more() {
	[ "$GRANULE" != single ] && take_pieces "$1" highest_first
}

# take_pieces BYTES POLICY
take_pieces() {
	operate isolate lend contig "$1" "$PIECE_BYTES" "$PIECE_BYTES" "$ZONE" "$2"
}

give_back() {
	operate free give-back
}
