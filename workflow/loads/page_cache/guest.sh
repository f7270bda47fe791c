# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The file system lies on a loop device over a small file. Reading a hole fills the
# page cache like any other read, without the input and output.

IMAGE=/run/page_cache.img
FOLDER=/run/page_cache
FILES=16
# A ninth more than the dose is read; what is dropped again leaves holes.
KEEP_PERCENT=90

# The same for all trials: the files have room for any dose.
prepare_load() {
	make_file_system || fault error "the file system could not be made"
	make_files || fault error "the files could not be made"
}

make_file_system() {
	truncate -s 16M $IMAGE &&
		mke2fs -F -b 4096 $IMAGE >/dev/null &&
		losetup /dev/loop0 $IMAGE &&
		mkdir $FOLDER &&
		mount -t ext4 -o noatime /dev/loop0 $FOLDER &&
		rmdir $FOLDER/lost+found
}

make_files() {
	file=0
	while [ $file -lt $FILES ]; do
		truncate -s $((RAM_BYTES * 100 / KEEP_PERCENT / FILES)) $FOLDER/$file ||
			return 1
		file=$((file + 1))
	done
	sync
}

load() {
	read_cached
	cached_before_kib=$cached_kib
	/load/read_files "$SEED" $((RAM_BYTES * DOSE_PERMILLE / 1000)) $KEEP_PERCENT $FOLDER/* ||
		fault error "the files could not be read"
	read_cached
	reached_dose $(((cached_kib - cached_before_kib) * 1024)) "$RAM_BYTES"
}

# Sets cached_kib
read_cached() {
	while read -r key cached_kib _; do
		[ "$key" != Cached: ] || break
	done </proc/meminfo
}
