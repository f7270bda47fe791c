# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The file system lies on a loop device over a small file. Reading a hole fills the
# page cache like any other read, without the input and output.

IMAGE=/run/page_cache.img
FOLDER=/run/page_cache
FILES=16
# A quarter more than the dose is read; what is dropped again leaves holes.
KEEP_PERCENT=80

load() {
	make_file_system
	make_sparse_files $((RAM_BYTES * DOSE_PERCENT / KEEP_PERCENT / FILES))
	before_bytes=$(cached_bytes)
	/load/read_files "$SEED" $KEEP_PERCENT $FOLDER/* || fault error "the files could not be read"
	reached_dose $(($(cached_bytes) - before_bytes)) "$RAM_BYTES"
}

make_file_system() {
	truncate -s 16M $IMAGE
	mke2fs -F $IMAGE >/dev/null
	losetup /dev/loop0 $IMAGE
	mkdir $FOLDER
	mount -t ext4 -o noatime /dev/loop0 $FOLDER
	rmdir $FOLDER/lost+found
}

make_sparse_files() {
	file=0
	while [ $file -lt $FILES ]; do
		truncate -s "$1" $FOLDER/$file
		file=$((file + 1))
	done
	sync
}

cached_bytes() {
	awk '/^Cached:/ { print $2 * 1024 }' /proc/meminfo
}
