# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate touch lend anonymous "$1" "$PAGES"
}

lend_more() {
	lend "$1"
}

give_back() {
	operate unmap give-back
}
