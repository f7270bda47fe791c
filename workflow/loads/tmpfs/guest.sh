# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

FOLDER=/run/tmpfs

prepare_load() {
	mkdir $FOLDER
	mount -t tmpfs -o size=100%,huge=never tmpfs $FOLDER ||
		fault error "the tmpfs could not be mounted"
}

load() {
	held_bytes=0
	start_worker /load/fill_files $((RAM_BYTES * DOSE_PERMILLE / 1000)) "$SEED" $FOLDER
	reached_dose "$held_bytes" "$RAM_BYTES"
}
