# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

FOLDER=/run/slab

prepare_load() {
	mkdir $FOLDER
	mount -t ramfs ramfs $FOLDER || fault error "the memory file system could not be mounted"
}

load() {
	held_bytes=0
	start_worker /load/make_files $((RAM_BYTES * DOSE_PERMILLE / 1000)) "$SEED" $FOLDER
	reached_dose "$held_bytes" "$RAM_BYTES"
}
