# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	as_found scribble
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first
}

give_back() {
	operate free give-back || return 1
	as_found movable
	as_found unmovable
}

as_found() {
	/strategy/as_found "$1" >/dev/console || fault error "as_found $1 failed"
}
