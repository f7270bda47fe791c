# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# shellcheck disable=SC2034 # the library looks after its workers
load() {
	held_bytes=0
	start_worker /load/occupy $((RAM_BYTES * DOSE_PERMILLE / 1000)) "$SEED" ordinary
	worker_pids=
	reached_dose "$held_bytes" "$RAM_BYTES"
}
