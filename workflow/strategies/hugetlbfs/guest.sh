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

OUT_OF=${OUT_OF:-anywhere}
# shellcheck disable=SC2034 # for the lend step
[ "$OUT_OF" != cma ] || blocker_area=cma

prepare() {
	[ -d "$pool_folder" ] ||
		unavailable "the running kernel has no huge pages of $((HUGE_PAGE_BYTES / 1048576)) MiB"
	[ "$OUT_OF" != cma ] || check_cma
}

# The kernel does not refuse an area that it cannot reserve: it has none.
# shellcheck disable=SC2154 # set by read_meminfo
check_cma() {
	read_meminfo CmaTotal
	[ "$meminfo_bytes" -ge "$LENDABLE_BYTES" ] ||
		unavailable "the running kernel reserved $((meminfo_bytes / 1048576)) MiB for CMA"
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
	if [ "$OUT_OF" = cma ]; then
		while [ "$wanted_pages" -gt 0 ] && fill_pool_from_cma; do
			wanted_pages=$((wanted_pages - 1))
		done
	else
		operate pool write "$pool_folder/nr_hugepages" $(($(pages_in nr_hugepages) + wanted_pages))
	fi
}

# One page. Where the area has none, the kernel takes one from elsewhere and does not say so: that one
# goes again. The newest page is the first that goes, but of several at once any may be the newest.
fill_pool_from_cma() {
	pages_before=$(pages_in nr_hugepages)
	taken_before=$(pages_taken_from_cma)
	operate pool write "$pool_folder/nr_hugepages" $((pages_before + 1)) || return
	[ "$(pages_in nr_hugepages)" -gt "$pages_before" ] || return
	[ "$(pages_taken_from_cma)" -eq "$taken_before" ] || return 0
	operate pool write "$pool_folder/nr_hugepages" "$pages_before" && fail pool kernel not_cma
}

# The kernel counts a huge page as one.
pages_taken_from_cma() {
	awk '$1 == "cma_alloc_success" { print $2 }' /proc/vmstat
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
