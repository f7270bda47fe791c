# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# Eight workers fill the dose and sleep. Meanwhile two others map a quarter as much, unmap it page by
# page in seeded order, and end.
load() {
	held_bytes=0
	bytes=$((RAM_BYTES * DOSE_PERMILLE / 1000))
	[ $bytes -eq 0 ] || start_worker /load/hold /load/stress-ng \
		--seed "$SEED" --timeout 0 --temp-path /run --no-oom-adjust --oomable \
		--mmap 2 --mmap-bytes $((bytes / 4)) --mmap-ops 32 \
		--vm 8 --vm-bytes $bytes --vm-keep --vm-hang 0 --vm-method write64
	reached_dose "$held_bytes" "$RAM_BYTES"
}
