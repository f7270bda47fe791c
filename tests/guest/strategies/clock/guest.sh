# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

prepare() {
	echo '<4>carveout test: before the lend' >/dev/kmsg
}

lend() {
	case $WAY in
	range | kept) take_range "$1" ;;
	pages) operate touch lend anonymous "$1" ordinary ;;
	huge_pages) operate map lend hugetlbfs "$1" 2097152 ;;
	warns) warn ;;
	waits) wait_in_vain ;;
	esac
}

take_range() {
	operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first
}

warn() {
	echo '<4>carveout test: "quoted" \backslash'"'" >/dev/kmsg
	echo '<6>carveout test: only informs' >/dev/kmsg
	fail look shell on_purpose
}

# The machine does something, and no driver has anything to do.
wait_in_vain() {
	host_and_await machine no_such_function 50000000 "\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"type\"}"
}

give_back() {
	case $WAY in
	kept | warns | waits) return 0 ;;
	*) operate free give-back ;;
	esac
}
