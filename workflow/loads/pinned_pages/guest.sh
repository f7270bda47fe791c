# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

load() {
	held_bytes=0
	start_worker /load/pin_for_long $((RAM_BYTES * DOSE_PERMILLE / 1000)) "$SEED"
	reached_dose "$held_bytes" "$RAM_BYTES"
}
