# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

TMPFS=/run/tmpfs
SLAB=/run/slab

prepare_load() {
	mkdir $TMPFS $SLAB
	mount -t tmpfs -o size=100%,huge=never tmpfs $TMPFS ||
		fault error "the tmpfs could not be mounted"
	mount -t ramfs ramfs $SLAB || fault error "the memory file system could not be mounted"
}

load() {
	tenth_bytes=$((RAM_BYTES * DOSE_PERMILLE / 10000))
	mixed_bytes=0
	hold /load/make_files $tenth_bytes "$SEED" $SLAB
	hold /load/occupy $((6 * tenth_bytes)) "$SEED" huge
	hold /load/pin_for_long $tenth_bytes "$SEED"
	hold /load/fill_files $((2 * tenth_bytes)) "$SEED" $TMPFS
	reached_dose "$mixed_bytes" "$RAM_BYTES"
}

# hold COMMAND...
hold() {
	held_bytes=0
	start_worker "$@"
	mixed_bytes=$((mixed_bytes + held_bytes))
}
