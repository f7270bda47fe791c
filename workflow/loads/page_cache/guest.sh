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

prepare_load() {
	make_file_system || fault error "the file system could not be made"
}

make_file_system() {
	truncate -s 16M $IMAGE &&
		mke2fs -F -b 4096 $IMAGE >/dev/null &&
		losetup /dev/loop0 $IMAGE &&
		mkdir $FOLDER &&
		mount -t ext4 -o noatime /dev/loop0 $FOLDER &&
		rmdir $FOLDER/lost+found
}

load() {
	make_sparse_files $((RAM_BYTES * DOSE_PERCENT / KEEP_PERCENT / FILES))
	cached_before_kib=$(cached_kib)
	/load/read_files "$SEED" $KEEP_PERCENT $FOLDER/* ||
		fault error "the files could not be read"
	reached_dose $((($(cached_kib) - cached_before_kib) * 1024)) "$RAM_BYTES"
}

make_sparse_files() {
	file=0
	while [ $file -lt $FILES ]; do
		truncate -s "$1" $FOLDER/$file
		file=$((file + 1))
	done
	sync
}

cached_kib() {
	awk '/^Cached:/ { print $2 }' /proc/meminfo
}
