# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

NOISE_FILES=16
LARGEST_FILE_PAGES=128

load() {
	mkdir /run/noise
	file=0
	while [ $file -lt $NOISE_FILES ]; do
		next_random
		head -c $((random % LARGEST_FILE_PAGES * PAGE_BYTES + 1)) /dev/zero >/run/noise/$file
		next_random
		[ $((random % 2)) -eq 0 ] || rm /run/noise/$file
		file=$((file + 1))
	done
	reached_dose 0 1
}

# A linear congruential generator; its low bits are poor, so they are dropped.
next_random() {
	random_state=$(((${random_state:-$SEED} * 1103515245 + 12345) % 2147483648))
	random=$((random_state / 65536))
}
