# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# mem= keeps the lowest RAM, so what it hides is the end of the only memory node. Linux never gets it,
# or has it added by the driver and gives it up again, block by block: then the variant says where
# its memmap lies.

HIDDEN_START_BYTES=$((RAM_START_BYTES + RAM_BYTES - LENDABLE_BYTES))
MEMMAP_ON=${MEMMAP_ON:-nothing}

# shellcheck disable=SC2034 # for the lend step
case $MEMMAP_ON in
nothing)
	takes_from_linux=no
	blocker_area=none
	;;
*) blocker_range=$HIDDEN_START_BYTES:$LENDABLE_BYTES ;;
esac

prepare() {
	[ "$MEMMAP_ON" != nothing ] || return 0
	find_blocks
	operate add add-memory $HIDDEN_START_BYTES:"$LENDABLE_BYTES" "$MEMMAP_ON" || return 1
	blocks_are $HIDDEN_START_BYTES "$LENDABLE_BYTES" online Movable ||
		fail online kernel not_movable || return 1
	[ "$MEMMAP_ON" != itself ] || [ "$(pages_kept_from_allocator)" -gt 0 ] ||
		unavailable "the running kernel puts no memmap on memory: with pages of $PAGE_BYTES bytes that of a block is no whole huge page"
}

# In the zone of what was added. The kernel says nothing where it puts the memmap elsewhere after all.
pages_kept_from_allocator() {
	awk '/zone +Movable/ { found = 1 }
		found && $1 == "present" { present = $2 }
		found && $1 == "managed" { print present - $2; exit }' /proc/zoneinfo
}

lend() {
	if [ "$MEMMAP_ON" = nothing ]; then
		operate map lend carveout $HIDDEN_START_BYTES "$1"
	else
		take_blocks "$1" highest_first
	fi
}

lend_more() {
	[ "$MEMMAP_ON" != nothing ] && take_blocks "$1" lowest_first
}

# take_blocks BYTES ORDER
take_blocks() {
	lend_blocks $HIDDEN_START_BYTES:"$LENDABLE_BYTES" "$1" "$MEMMAP_ON" "$2"
}

give_back() {
	operate unmap give-back
}
