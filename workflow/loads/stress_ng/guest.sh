# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

load() {
	held_bytes=0
	bytes=$((RAM_BYTES * DOSE_PERMILLE / 1000))
	grep -E "MemFree|AnonPages" /proc/meminfo >&2
	cat /proc/uptime >&2
	start_worker /load/hold /load/stress-ng --seed "$SEED" --no-oom-adjust --oomable --timeout 0 --temp-path /run --vm 4 --vm-bytes $((bytes)) --vm-keep --vm-hang 0 --vm-method write64 --mmap 1 --mmap-bytes $((bytes / 4)) --mmap-ops 8 -v
	grep -E "MemFree|AnonPages|AnonHuge" /proc/meminfo >&2
	cat /proc/uptime >&2
	for s in /proc/[0-9]*/stat; do case $(cat $s) in *stress*) cut -d' ' -f 1-5,14,15 $s >&2; grep -E "Anon|Rss" ${s%stat}smaps_rollup >&2;; esac; done
	echo $held_bytes >&2
	sleep 10
	for s in /proc/[0-9]*/stat; do case $(cat $s) in *stress*) cut -d' ' -f 1-5,14,15 $s >&2;; esac; done
	reached_dose "$held_bytes" "$RAM_BYTES"
}
