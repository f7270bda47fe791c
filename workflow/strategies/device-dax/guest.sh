# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The memory is a region of the kernel's bus for non-volatile memory (nd). On the region lies a
# namespace, on the namespace a device DAX: all that ndctl does is done here by the kernel's own files.
# The first bytes of a namespace hold what the kernel has to know of it, and its memmap where that is on
# itself.

ND=/sys/bus/nd
DAX=/sys/bus/dax
# Names have to differ among themselves, and to be the same in every boot.
UUID_BEGIN=c0de0000-0000-4000-8000-
NOTHING='
'
made=0
namespaces=

# shellcheck disable=SC2034 # for the lend step
[ "$IDLE" = linux ] || {
	takes_from_linux=no
	blocker_area=none
}

prepare() {
	[ "$DRIVER" != ramdax ] || use_labels
	await_region
	[ "$DRIVER" != ramdax ] || return 0
	make_device namespace0.0 || unavailable "the running kernel makes no device DAX: $(tell_refusal)"
	[ "$IDLE" != linux ] || serve_at_first
}

# --- How it is set aside ------------------------------------------------------------

# With of_pmem a region is one namespace; ramdax has a table of namespaces at its end.
use_labels() {
	for found in /sys/bus/platform/drivers/of_pmem/*.pmem; do
		memory=${found##*/}
	done
	echo "$memory" >/sys/bus/platform/drivers/of_pmem/unbind
	echo ramdax >"/sys/bus/platform/devices/$memory/driver_override"
	echo "$memory" >/sys/bus/platform/drivers/ramdax/bind
}

# The bus finds its devices beside the trial: who reads the file waits for all of them.
await_region() {
	cat "$ND"/devices/ndbus*/wait_probe >/dev/null
	for region in "$ND"/devices/region*; do
		[ -e "$region/dax_seed" ] || unavailable "the running kernel makes no region of the memory"
	done
	read -r seed <"$region/dax_seed"
	read -r align_bytes <"$ND/devices/$seed/align"
	[ "$DRIVER" != ramdax ] || echo "$align_bytes" >"$region/align"
}

# --- Devices ------------------------------------------------------------------------

# make_device NAMESPACE: sets device, and seed, its name on the other bus
make_device() {
	made=$((made + 1))
	read -r seed <"$region/dax_seed"
	say "devices/$seed/mode" "$MEMMAP" &&
		say "devices/$seed/uuid" "$(next_uuid)" &&
		say "devices/$seed/namespace" "$1" &&
		say drivers/dax_pmem/bind "$seed" || return
	device=dax${1#namespace}
	[ -e "$DAX/devices/$device/driver" ] || fail make driver no_device
}

# say FILE VALUE: to the bus, at the price of what the kernel does then
say() {
	operate make write "$ND/$1" "$2"
}

next_uuid() {
	printf '%s%012x' $UUID_BEGIN "$made"
}

# Sets device_start_bytes and device_bytes.
measure_device() {
	read -r device_start_bytes <"$DAX/devices/$device/resource"
	device_start_bytes=$((device_start_bytes))
	read -r device_bytes <"$DAX/devices/$device/size"
}

# lend_device BYTES: sets mapped_bytes. What the VM needs in aligned pieces begins at the first of them.
lend_device() {
	measure_device
	skip_bytes=$(((GRANULE_BYTES - device_start_bytes % GRANULE_BYTES) % GRANULE_BYTES))
	mapped_bytes=$((device_bytes - skip_bytes))
	[ "$mapped_bytes" -le "$1" ] || mapped_bytes=$1
	[ "$mapped_bytes" -gt 0 ] || device_is_full || return
	operate map lend dax "$device" "$skip_bytes" "$mapped_bytes"
}

# No page is in the way of what there is not.
# shellcheck disable=SC2034 # for the lend step
device_is_full() {
	blocker_area=none
	fail device driver device_is_full
}

# --- Hot-added while idle -------------------------------------------------------------

# Whole memory blocks are added: what lies before the first and behind the last serves nobody.
serve_at_first() {
	measure_device
	read_block_bytes
	first_block=$(((device_start_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES))
	end_block=$(((device_start_bytes + device_bytes) / BLOCK_BYTES))
	echo "$device" >$DAX/drivers/device_dax/unbind
	[ "$MEMMAP_ON_MEMORY" -eq 0 ] || echo 1 >"$DAX/devices/$device/memmap_on_memory" ||
		unavailable "the running kernel adds no device DAX with its memmap on itself"
	echo "$device" >$DAX/drivers/kmem/new_id
	serves || unavailable "the running kernel did not add the device DAX to its memory"
}

# Whether all blocks are Linux's.
serves() {
	for block in $(seq "$first_block" $((end_block - 1))); do
		grep -qsx online "$BLOCKS/memory$block/state" || return
	done
	[ "$first_block" -lt "$end_block" ]
}

# All of it or nothing: a device with a block online cannot be had. What cannot move for now has as long
# as any memory block.
# shellcheck disable=SC2034 # for the lend step
take_from_linux() {
	blocker_area=blocks
	blocker_bytes=$(((end_block - first_block) * BLOCK_BYTES))
	blocker_range=$((first_block * BLOCK_BYTES)):$blocker_bytes
	read_spare
	# shellcheck disable=SC2154 # of the lend step
	[ "$spare_bytes" -ge "$blocker_bytes" ] ||
		fail careful carveout host_needs_the_rest || return
	for block in $(seq "$first_block" $((end_block - 1))); do
		operate offline write "$BLOCKS/memory$block/state" offline "$BLOCK_LIMIT_S" || {
			put_online
			return 1
		}
	done
	operate remove write $DAX/drivers/kmem/unbind "$device" &&
		operate make write $DAX/drivers/device_dax/bind "$device"
}

put_online() {
	for block in $(seq "$first_block" $((end_block - 1))); do
		grep -qsx online "$BLOCKS/memory$block/state" ||
			operate online write "$BLOCKS/memory$block/state" online_movable
	done
}

give_to_linux() {
	operate unmake write $DAX/drivers/device_dax/unbind "$device" &&
		operate add write $DAX/drivers/kmem/bind "$device" || return
	serves || fail add kernel not_online
}

# --- Made when it is lent, of one table of namespaces ---------------------------------------

# lend_devices BYTES: one device, or where the kernel makes none so large, another beside it
lend_devices() {
	missing_bytes=$1
	while [ "$missing_bytes" -gt 0 ]; do
		make_namespace "$missing_bytes" &&
			make_device "$namespace" &&
			lend_device "$missing_bytes" || return
		missing_bytes=$((missing_bytes - mapped_bytes))
		[ "$GRANULE" != single ] || break
	done
	[ "$missing_bytes" -eq 0 ] || device_is_full
}

# make_namespace BYTES: sets namespace
make_namespace() {
	find_namespace_bytes "$1"
	[ "$namespace_bytes" -gt 0 ] || device_is_full || return
	read -r namespace <"$region/namespace_seed"
	made=$((made + 1))
	say "devices/$namespace/uuid" "$(next_uuid)" &&
		say "devices/$namespace/size" "$namespace_bytes" || return
	namespaces="$namespaces $namespace"
}

# find_namespace_bytes BYTES: for a device of so many bytes, in whole granules; or the largest there is
find_namespace_bytes() {
	wanted_bytes=$1
	[ "$GRANULE_BYTES" -le "$align_bytes" ] || wanted_bytes=$((wanted_bytes + GRANULE_BYTES))
	namespace_bytes=$wanted_bytes
	while find_head_bytes && [ $((namespace_bytes - head_bytes)) -lt "$wanted_bytes" ]; do
		namespace_bytes=$((namespace_bytes + align_bytes))
	done
	read -r room_bytes <"$region/max_available_extent"
	round_up_to_sections
	[ "$namespace_bytes" -le "$room_bytes" ] || {
		namespace_bytes=$room_bytes
		round_down_to_sections
	}
	find_head_bytes
	[ "$namespace_bytes" -gt "$head_bytes" ] || namespace_bytes=0
}

# What a device lacks of its namespace: two pages of 4 KiB, and the memmap where it is on itself.
find_head_bytes() {
	head_bytes=8192
	[ "$MEMMAP" = ram ] || head_bytes=$((8192 + namespace_bytes * 64 / PAGE_BYTES))
	head_bytes=$(((head_bytes + align_bytes - 1) / align_bytes * align_bytes))
}

# With pages of 4 KiB the kernel takes the memmap of a whole section from the namespace in aligned pieces
# of 2 MiB, but leaves no room for aligning them: when a part of a section follows, there is nothing
# left for it, and no device. A part alone is had.
must_be_sections() {
	read_block_bytes
	[ "$MEMMAP" = pmem ] && [ "$PAGE_BYTES" -eq 4096 ] &&
		[ "$namespace_bytes" -gt "$BLOCK_BYTES" ]
}

round_up_to_sections() {
	! must_be_sections ||
		namespace_bytes=$(((namespace_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES))
}

round_down_to_sections() {
	! must_be_sections || namespace_bytes=$((namespace_bytes / BLOCK_BYTES * BLOCK_BYTES))
}

# Devices are known by the same numbers as their namespaces, on this bus by others.
unmake_devices() {
	for seed in "$ND"/drivers/dax_pmem/dax*; do
		[ -e "$seed" ] || continue
		seed=${seed##*/}
		operate unmake write $ND/drivers/dax_pmem/unbind "$seed" &&
			operate unmake write "$ND/devices/$seed/namespace" "$NOTHING" || return
	done
	for namespace in $namespaces; do
		operate unmake write "$ND/devices/$namespace/size" 0 || return
	done
	namespaces=
}

# --- What a trial does ------------------------------------------------------------------

lend() {
	case $DRIVER,$IDLE in
	ramdax,*) lend_devices "$1" ;;
	*,linux) take_from_linux && lend_from_device "$1" ;;
	*) lend_from_device "$1" ;;
	esac
}

lend_from_device() {
	lend_device "$1" || return
	[ "$mapped_bytes" -eq "$1" ] || device_is_full
}

# There is no more than there is; but the kernel may move today what it could not a moment ago.
lend_more() {
	if [ "$IDLE" = linux ] && serves; then
		lend "$1"
	else
		device_is_full
	fi
}

give_back() {
	operate unmap give-back || return
	case $DRIVER,$IDLE in
	ramdax,*) unmake_devices ;;
	*,linux) serves || give_to_linux ;;
	esac
}
