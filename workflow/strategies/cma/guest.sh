# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# A driver that wants most of the area cannot have it in one piece when a page of it is
# taken, so the whole is asked for first, then halves.
lend() {
	lend_in_pieces "$1" "$ALIGN_BYTES" operate allocate lend cma
}

give_back() {
	operate free give-back
}
