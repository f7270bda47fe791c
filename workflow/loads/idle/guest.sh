# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

load() {
	mkdir /run/noise
	/load/noise /run/noise "$SEED" || fault error "the noise could not be made"
	reached_dose 0 1
}
