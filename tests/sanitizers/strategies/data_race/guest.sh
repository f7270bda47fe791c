# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The test ran when its module was inserted.

lend() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first
}

give_back() {
	operate free give-back
}
