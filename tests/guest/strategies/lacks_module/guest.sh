# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	fail telepathy driver not_reached
}

give_back() {
	operate free give-back
}
