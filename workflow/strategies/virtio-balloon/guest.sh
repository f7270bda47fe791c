# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Whichever variant it is says the device, by what it offers: free page reporting is feature 5
# (VIRTIO_BALLOON_F_REPORTING).
#
# The plain balloon: the driver goes towards the size that is asked for, at most 256 pages in one
# work item, which queues itself again until the size is reached. When no page is to be had, it
# sleeps for 200 ms and tries again, for ever, and would take whatever is freed later: so it is told to
# want no more than it has.
#
# Free page reporting: it works all the time, by itself. Here it is switched on for a lend and off with
# its end, by binding and unbinding the driver: so all that is reported is reported from the lend on. The
# first report comes 2 s after that, further ones every 2 s until the free memory is told: "about 30
# seconds" (mm/page_reporting.c). What was reported is lent, up to the request, while Linux has it as
# free memory; it is asked for in full since nothing is taken from Linux.

DRIVER=/sys/bus/virtio/drivers/virtio_balloon
BALLOON_WORK=update_balloon_size_func
REPORTING_WORK=page_reporting_process
BEGIN_LIMIT_NS=10000000000
REPORTED_LIMIT_NS=60000000000

# Nothing that cannot move is in the way of either.
# shellcheck disable=SC2034
prepare() {
	blocker_area=none
	for link in "$DRIVER"/virtio*; do
		device=${link##*/}
	done
	[ -e "$DRIVER/$device" ] || fail device shell no_device || return 1
	reports=no
	case $(cat "$DRIVER/$device/features") in
	?????1*) reports=yes ;;
	esac
	[ "$reports" = "$REPORTING" ] ||
		unavailable "the driver of this kernel does not report free pages"
	[ "$reports" = no ] || {
		takes_from_linux=no
		end_reporting
	}
}

end_reporting() {
	echo "$device" >"$DRIVER/unbind" || fail unbind driver not_unbound
}

lend() {
	case $reports in
	yes) report_from_here "$1" ;;
	no) take_from_here "$1" ;;
	esac
}

# shellcheck disable=SC2154 # set by the lend step
lend_more() {
	case $reports in
	yes) adopt_reported "$1" ;;
	no) inflate_more $((lent_bytes + $1)) ;;
	esac
}

give_back() {
	case $reports in
	yes) end_reporting ;;
	no) resize deflate "$RAM_BYTES" ;;
	esac
	give_back_status=$?
	operate forget forget && return $give_back_status
}

# --- plain ------------------------------------------------------------------------

take_from_here() {
	# shellcheck disable=SC2086,SC2154 # the ranges are words, set by the library
	operate baseline absent-baseline $ram_ranges
	inflate "$1"
}

# Where the driver made no progress it has tried more than once, 200 ms apart, and so has been asked
# once more already.
# shellcheck disable=SC2154 # set by the lend step
inflate_more() {
	[ "$step_reason" != no_progress ] || return 1
	inflate "$1"
}

# inflate BYTES: so many in all
inflate() {
	inflate_status=0
	resize inflate $((RAM_BYTES - $1)) || {
		inflate_status=1
		stop_trying
	}
	# shellcheck disable=SC2086,SC2154 # the ranges are words, set by the library
	operate adopt lend absent $ram_ranges && return $inflate_status
}

# resize STAGE BYTES
resize() {
	host_and_await "$1" "$BALLOON_WORK" "$BEGIN_LIMIT_NS" \
		"\"execute\":\"balloon\",\"arguments\":{\"value\":$2}"
}

# It may sleep now, for up to 200 ms: no cost of what was asked for. Nothing is free by now, so no more
# processes are started than must be.
stop_trying() {
	read_balloon
	record host "\"execute\":\"balloon\",\"arguments\":{\"value\":$((RAM_BYTES - balloon_bytes))}"
	carveout pause await "$BALLOON_WORK" "$BEGIN_LIMIT_NS" 3>&- >/dev/null ||
		fault error "the balloon's driver does not stop"
}

# Sets balloon_bytes: what went in less what came out.
read_balloon() {
	balloon_pages=0
	while read -r name count; do
		case $name in
		balloon_inflate) balloon_pages=$((balloon_pages + count)) ;;
		balloon_deflate) balloon_pages=$((balloon_pages - count)) ;;
		esac
	done </proc/vmstat
	balloon_bytes=$((balloon_pages * PAGE_BYTES))
}

# --- free page reporting ----------------------------------------------------------

report_from_here() {
	echo "$device" >"$DRIVER/bind" || fail bind driver not_bound || return 1
	adopt_reported "$1"
}

# adopt_reported BYTES: so many more
# shellcheck disable=SC2154 # adopted_bytes is set by what is evaluated
adopt_reported() {
	await report "$REPORTING_WORK" "$BEGIN_LIMIT_NS" "$REPORTED_LIMIT_NS"
	# shellcheck disable=SC2086,SC2154 # the ranges are words, set by the library
	operate adopt lend reported "$1" $ram_ranges || return 1
	[ "$adopted_bytes" -eq "$1" ] || fail adopt shell no_more_reported
}
