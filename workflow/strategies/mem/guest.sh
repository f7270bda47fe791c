# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
takes_from_linux=no
blocker_area=none

# mem= keeps the lowest RAM, so what it hides is the end of the only memory node.
lend() {
	operate map lend carveout $((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES)) "$1"
}

give_back() {
	operate unmap give-back
}
