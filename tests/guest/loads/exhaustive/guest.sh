# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# The program stops at the watermarks. What steals pageblocks boosts them, and per-CPU lists take
# many megabytes at once: it would not know when to stop.
load() {
	echo 0 >/proc/sys/vm/watermark_boost_factor
	echo 100000 >/proc/sys/vm/percpu_pagelist_high_fraction
	reached_dose 0 1
}

after_census() {
	[ "$1" = after ] || return 0
	# The ranges are words on purpose.
	# shellcheck disable=SC2046
	/load/fill_memory $(cat /sys/module/carveout/parameters/given_back) >/dev/console ||
		fault error "fill_memory failed"
}
