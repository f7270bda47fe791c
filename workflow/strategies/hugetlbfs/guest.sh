# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

pool_folder=/sys/kernel/mm/hugepages/hugepages-$((HUGE_PAGE_BYTES / 1024))kB

# It lends whole pages of its pool, whatever smaller pieces would do.
[ "$PIECE_BYTES" -ge "$HUGE_PAGE_BYTES" ] || PIECE_BYTES=$HUGE_PAGE_BYTES

# A pool made at boot has nothing in its way: it has no more.
# shellcheck disable=SC2034 # for the lend step
[ "$POOL" = run_time ] || {
	takes_from_linux=no
	blocker_area=none
}

prepare() {
	[ -d "$pool_folder" ] ||
		unavailable "the running kernel has no huge pages of $((HUGE_PAGE_BYTES / 1048576)) MiB"
}

lend() {
	[ "$POOL" = boot ] || fill_pool "$1"
	idle_bytes=$(($(pages_in free_hugepages) * HUGE_PAGE_BYTES))
	mapped_bytes=$1
	[ "$idle_bytes" -ge "$1" ] || mapped_bytes=$idle_bytes
	[ "$mapped_bytes" -eq 0 ] || operate map lend hugetlbfs "$mapped_bytes" "$HUGE_PAGE_BYTES"
	[ "$mapped_bytes" -eq "$1" ] || fail pool shell pool_short
}

# The kernel tries anew what it could not fill before.
lend_more() {
	lend "$1"
}

# fill_pool BYTES: rounded up to whole pages. The kernel fills as much as it can and reports no error:
# the file says how much.
fill_pool() {
	wanted_pages=$((($1 + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES))
	operate pool write "$pool_folder/nr_hugepages" $(($(pages_in nr_hugepages) + wanted_pages))
}

# pages_in FILE
pages_in() {
	read -r pool_pages <"$pool_folder/$1"
	echo "$pool_pages"
}

# A pool made at boot stays: that it is reserved is what it is for. Another is emptied; the kernel
# keeps the pages for whose memmap it has no memory (HVO), and reports no error.
give_back() {
	operate unmap give-back || return 1
	[ "$POOL" = run_time ] || return 0
	operate pool write "$pool_folder/nr_hugepages" 0 || return 1
	[ "$(pages_in nr_hugepages)" -eq 0 ] || fail pool kernel pages_kept
}
