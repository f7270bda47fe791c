# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	case $HELD in
	yes) operate touch lend anonymous "$1" ordinary ;;
	no) operate isolate lend contig "$1" "$1" "$PAGEBLOCK_BYTES" any free_first ;;
	esac
}

# The monitor is the last process of that name; before it are whoever asked for it, and the holder.
while_lent() {
	case $HELD in
	yes) wanted=3 ;;
	no) wanted=2 ;;
	esac
	kill_last $wanted 3>&- &
}

kill_last() {
	until
		# shellcheck disable=SC2046
		set -- "$1" $(pidof carveout | tr ' ' '\n' | sort -n)
		[ $# -gt "$1" ]
	do
		:
	done
	shift $(($# - 1))
	kill -SEGV "$1"
}

give_back() {
	operate free give-back
}
