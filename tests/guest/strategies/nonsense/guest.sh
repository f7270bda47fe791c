# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	/strategy/nonsense >/dev/console || fault error "the module took nonsense for sense"
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any lowest_first
	unload_with_a_lend_open
}

# Unloading must free what is lent: a second load finds nothing lent and lends the same again.
unload_with_a_lend_open() {
	free_bytes=$(mem_free_bytes)
	rmmod carveout || fault error "the module did not unload"
	freed_bytes=$(($(mem_free_bytes) - free_bytes))
	[ "$freed_bytes" -ge 200000000 ] || fault error "unloading freed $freed_bytes bytes only"
	insmod "$(tail -n 1 /lib/modules/order)" || fault error "the module did not load again"
	operate isolate lend contig "$request_bytes" "$request_bytes" "$PAGEBLOCK_BYTES" any lowest_first
}

mem_free_bytes() {
	awk '/^MemFree:/ { print $2 * 1024 }' /proc/meminfo
}

give_back() {
	operate free give-back
}
