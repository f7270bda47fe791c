# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the lend step
blocker_area=cma

# A driver that wants most of the area cannot have it in one piece when a page of it is
# taken, so the whole is asked for first, then halves.
lend() {
	if [ "$GRANULE" = single ]; then
		lend_largest "$1"
	else
		lend_in_pieces "$1" "$GRANULE_BYTES" take
	fi
}

# Of the largest range, one pageblock more was refused before.
lend_more() {
	[ "$GRANULE" != single ] && lend_in_pieces "$1" "$GRANULE_BYTES" take
}

# take BYTES
take() {
	operate allocate lend cma "$1"
}

# lend_largest BYTES: between a size that fits and one that does not, the middle is tried
lend_largest() {
	! take "$1" || return 0
	fitting_blocks=0
	refused_blocks=$(($1 / PAGEBLOCK_BYTES))
	while [ $((refused_blocks - fitting_blocks)) -gt 1 ]; do
		middle_blocks=$(((refused_blocks + fitting_blocks) / 2))
		if take $((middle_blocks * PAGEBLOCK_BYTES)); then
			fitting_blocks=$middle_blocks
			operate free give-back || return 1
		else
			refused_blocks=$middle_blocks
		fi
	done
	[ $fitting_blocks -eq 0 ] || take $((fitting_blocks * PAGEBLOCK_BYTES))
	return 1
}

give_back() {
	operate free give-back
}
