# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

pool_file=/sys/kernel/mm/hugepages/hugepages-$((HUGE_PAGE_BYTES / 1024))kB/nr_hugepages

lend() {
	[ "$POOL" = boot ] || fill_pool "$1"
	mapped_bytes=$1
	[ "$(pool_bytes)" -ge "$1" ] || mapped_bytes=$(pool_bytes)
	[ "$mapped_bytes" -eq 0 ] || operate map lend hugetlbfs "$mapped_bytes" "$HUGE_PAGE_BYTES"
	[ "$mapped_bytes" -eq "$1" ] || fail pool shell pool_short
}

# The kernel fills as much as it can and reports no error: the file says how much.
fill_pool() {
	operate pool write "$pool_file" $((($1 + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES))
}

pool_bytes() {
	read -r pool_pages <"$pool_file"
	echo $((pool_pages * HUGE_PAGE_BYTES))
}

# A pool made at boot stays: that it is reserved is what it is for.
give_back() {
	operate unmap give-back || return 1
	[ "$POOL" = boot ] || operate pool write "$pool_file" 0
}
