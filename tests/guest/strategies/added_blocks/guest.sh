# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

added_bytes=$((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES))

prepare() {
	find_blocks
	operate add add-memory $added_bytes:"$LENDABLE_BYTES" host
}

after_census() {
	echo "added_blocks: $1 $(cat /sys/module/carveout/parameters/uncounted_tables)" >/dev/console
}

lend() {
	lend_blocks $added_bytes:"$LENDABLE_BYTES" "$1" host highest_first
}

# From here on, what is added is not online.
while_lent() {
	[ "$THEN" = online ] || echo offline >/sys/devices/system/memory/auto_online_blocks
}

give_back() {
	operate add give-back
}
