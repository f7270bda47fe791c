# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

FOLDER=/run/ageing
LIVES=2
REST_SHARE=5

prepare_load() {
	mkdir $FOLDER
	mount -t tmpfs -o size=100%,huge=never,nr_inodes=0 tmpfs $FOLDER ||
		fault error "the tmpfs could not be mounted"
}

load() {
	worked_bytes=0
	start_worker /load/grow_old $((LIVES * RAM_BYTES * DOSE_PERMILLE / 1000)) \
		$((RAM_BYTES / REST_SHARE)) "$SEED" $FOLDER
	reached_dose "$worked_bytes" $((LIVES * RAM_BYTES))
}
