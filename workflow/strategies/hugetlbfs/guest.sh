# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

pool_file=/sys/kernel/mm/hugepages/hugepages-$((HUGE_PAGE_BYTES / 1024))kB/nr_hugepages

# shellcheck disable=SC2034 # for the lend step
[ "$POOL" = run_time ] || takes_from_linux=no

# lend ASKED_BYTES REQUEST_BYTES
lend() {
	[ "$POOL" = boot ] || fill_pool "$1" "$2"
	mapped_bytes=$1
	[ "$(pool_bytes)" -ge "$1" ] || mapped_bytes=$(pool_bytes)
	[ "$mapped_bytes" -eq 0 ] || operate map lend hugetlbfs "$mapped_bytes" "$HUGE_PAGE_BYTES"
	[ "$mapped_bytes" -eq "$1" ] || fail pool shell pool_short
}

# The kernel fills as much as it can and reports no error: the file says how much. Only what was
# asked for in full is rounded up to whole pages: less is all that the host can spare.
fill_pool() {
	wanted_pages=$(($1 / HUGE_PAGE_BYTES))
	[ "$1" -lt "$2" ] || wanted_pages=$((($1 + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES))
	operate pool write "$pool_file" "$wanted_pages"
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
