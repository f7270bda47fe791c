# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate touch lend anonymous "$1" ordinary
}

# As the out-of-memory killer would; the numbers of processes say nothing about who holds what.
while_lent() {
	kill -9 "$(pidof carveout)"
}

give_back() {
	operate unmap give-back || return 1
	rmmod carveout || fault error "the module did not unload after its holder had died"
	insmod "$(tail -n 1 /lib/modules/order)" || fault error "the module did not load again"
}
