# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# For strategies that lend memory blocks: what Linux had, was taken offline, and was removed. A block
# is one section, the least that goes.
#
# It shares its variables with the other steps.
# shellcheck disable=SC2034,SC2154

# Offlining what cannot move for now is tried again without end; the kernel's documentation puts a
# limit to it from outside (admin-guide/mm/memory-hotplug.rst). A block of 128 MiB full of pages that
# move takes 0.15 s.
BLOCK_LIMIT_S=3
BLOCKS=/sys/devices/system/memory

# Sets BLOCK_BYTES.
read_block_bytes() {
	read -r block_bytes <$BLOCKS/block_size_bytes
	BLOCK_BYTES=$((0x$block_bytes))
}

# In `prepare`: sets BLOCK_BYTES. What is in the way is looked for in whole blocks, and what a careful
# monitor leaves is whole ones.
find_blocks() {
	read_block_bytes
	[ "$PIECE_BYTES" -ge "$BLOCK_BYTES" ] || PIECE_BYTES=$BLOCK_BYTES
}

# blocks_are START BYTES STATE ZONE: whether all blocks are in that state, and in that zone
blocks_are() {
	block=$(($1 / BLOCK_BYTES))
	while [ $block -lt $((($1 + $2) / BLOCK_BYTES)) ]; do
		read -r block_state <$BLOCKS/memory$block/state &&
			read -r block_zone _ <$BLOCKS/memory$block/valid_zones &&
			[ "$block_state $block_zone" = "$3 $4" ] || return 1
		block=$((block + 1))
	done
}

# lend_blocks START:BYTES BYTES host|itself ORDER: of the range, whole blocks, rounded up where the
# host has as much to spare. Where their memmap will be, once Linux has them again, is the third. A veto
# of the kernel's (EPERM) is of no page, and none is named.
lend_blocks() {
	blocker_area=blocks
	whole_bytes=$((($2 + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES))
	[ "$whole_bytes" -eq "$2" ] || [ "$whole_bytes" -le $((spare_bytes - lent_bytes)) ] ||
		whole_bytes=$((whole_bytes - BLOCK_BYTES))
	[ "$whole_bytes" -eq 0 ] ||
		operate offline lend blocks "$1" "$whole_bytes" "$BLOCK_BYTES" "$3" "$4" $BLOCK_LIMIT_S || {
		[ "$step_errno" != EPERM ] || blocker_area=none
		return 1
	}
	[ "$whole_bytes" -ge "$2" ] || fail careful carveout host_needs_the_rest
}
