# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# The pattern is written, and the host is at work, when the pages are the host's already.
lend() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first || return 1
	carveout lose 7 >/dev/null || fault error "no page could be lost"
}

give_back() {
	operate free give-back
}
