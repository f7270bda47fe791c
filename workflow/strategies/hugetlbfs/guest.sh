# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

pool_folder=/sys/kernel/mm/hugepages/hugepages-$((HUGE_PAGE_BYTES / 1024))kB

# A pool made at boot has nothing in its way: it has no more.
# shellcheck disable=SC2034 # for the lend step
[ "$POOL" = run_time ] || {
	takes_from_linux=no
	blocker_area=none
}

# lend ASKED_BYTES REQUEST_BYTES
lend() {
	wanted_bytes=$1
	# Less than the request is all that the host can spare: no page more.
	[ "$1" -eq "$2" ] || wanted_bytes=$(($1 / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES))
	[ "$POOL" = boot ] || fill_pool "$wanted_bytes"
	idle_bytes=$(($(pages_in free_hugepages) * HUGE_PAGE_BYTES))
	mapped_bytes=$wanted_bytes
	[ "$idle_bytes" -ge "$wanted_bytes" ] || mapped_bytes=$idle_bytes
	[ "$mapped_bytes" -eq 0 ] || operate map lend hugetlbfs "$mapped_bytes" "$HUGE_PAGE_BYTES"
	[ "$mapped_bytes" -eq "$wanted_bytes" ] || fail pool shell pool_short
}

# The kernel tries anew what it could not fill before.
lend_more() {
	lend "$@"
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

# A pool made at boot stays: that it is reserved is what it is for.
give_back() {
	operate unmap give-back || return 1
	[ "$POOL" = boot ] || operate pool write "$pool_folder/nr_hugepages" 0
}
