# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

hidden_bytes=$((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES))

# The second lend has the upper half of the first, and as much beyond.
lend() {
	operate map lend carveout $hidden_bytes "$1" || return 1
	operate map lend carveout $((hidden_bytes + $1 / 2)) "$1"
}

give_back() {
	operate unmap give-back
}
