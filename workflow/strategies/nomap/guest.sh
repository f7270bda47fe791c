# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
takes_from_linux=no
blocker_area=none

# The node lies at the end of the RAM.
lend() {
	operate map lend carveout $((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES)) "$1"
}

give_back() {
	operate unmap give-back
}
