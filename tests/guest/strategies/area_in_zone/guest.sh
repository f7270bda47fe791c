# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate allocate lend cma 33554432 || return 1
	fail allocate shell on_purpose
}

give_back() {
	operate free give-back
}
