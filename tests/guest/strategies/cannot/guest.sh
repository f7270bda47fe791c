# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

prepare() {
	[ -d /sys/kernel/mm/telepathy ] || unavailable "the running kernel has no telepathy"
}

lend() {
	fail telepathy kernel not_reached
}

give_back() {
	operate free give-back
}
