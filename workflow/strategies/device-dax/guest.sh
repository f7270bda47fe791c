# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The memory is a region of the bus of non-volatile memory (nd), on which a namespace is made, on the
# namespace a device DAX: what ndctl does, by the kernel's own files. Its first bytes hold what the
# kernel has to know of it, and its memmap where that is on itself.

ND=/sys/bus/nd/devices
DAX=/sys/bus/dax
# Any will do, but each once, and the same in every boot.
UUID_BEGIN=c0de0000-0000-4000-8000-

# shellcheck disable=SC2034 # for the lend step
[ "$IDLE" = kmem ] && blocker_area=movable || {
	takes_from_linux=no
	blocker_area=none
}

prepare() {
	await_region
	make_device namespace0.0 1
	[ "$IDLE" = device ] || begin_to_serve
}

# The bus probes its devices beside the trial: reading the file waits for all of them.
await_region() {
	cat $ND/ndbus*/wait_probe >/dev/null
	for region in "$ND"/region*; do
		[ -e "$region/dax_seed" ] || unavailable "the running kernel makes no region of the memory"
	done
}

# make_device NAMESPACE NUMBER: sets device, its name, device_start_bytes and device_bytes
make_device() {
	read -r seed <"$region/dax_seed"
	told "$seed" mode "$MEMMAP"
	told "$seed" uuid "$UUID_BEGIN$(printf %012x "$2")"
	told "$seed" namespace "$1"
	echo "$seed" >/sys/bus/nd/drivers/dax_pmem/bind || :
	device=dax${1#namespace}
	[ -e "$DAX/devices/$device" ] ||
		unavailable "the running kernel makes no device DAX with its memmap in $MEMMAP"
	read -r device_start_bytes <"$DAX/devices/$device/resource"
	device_start_bytes=$((device_start_bytes))
	read -r device_bytes <"$DAX/devices/$device/size"
}

# told SEED FILE VALUE
told() {
	echo "$3" >"$ND/$1/$2" || unavailable "the running kernel refused of a device DAX: $2 $3"
}

begin_to_serve() { unavailable "no"; }

# What the VM needs in aligned pieces begins at the first whole one.
lend() {
	skip_bytes=$((-device_start_bytes % GRANULE_BYTES))
	[ "$skip_bytes" -ge 0 ] || skip_bytes=$((skip_bytes + GRANULE_BYTES))
	mapped_bytes=$((device_bytes - skip_bytes))
	[ "$mapped_bytes" -le "$1" ] || mapped_bytes=$1
	[ "$mapped_bytes" -le 0 ] || operate map lend dax "$device" "$skip_bytes" "$mapped_bytes" || return
	[ "$mapped_bytes" -eq "$1" ] || lend_more
}

# It was made as large as it could be.
lend_more() {
	fail device driver device_is_full
}

give_back() {
	operate unmap give-back
}
