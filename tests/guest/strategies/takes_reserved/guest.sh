# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

hidden_bytes=$((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES))

# What is refused is asked for again, to show the tool's words.
lend() {
	operate map lend carveout $hidden_bytes "$1" && return
	carveout lend carveout $hidden_bytes "$1" >/dev/console
	return 1
}

give_back() {
	operate unmap give-back
}
