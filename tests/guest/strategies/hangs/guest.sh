# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	while :; do
		sleep 1
	done
}

give_back() {
	operate free give-back
}
