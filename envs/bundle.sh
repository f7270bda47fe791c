# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A bundle: a tar archive with all that a rerun needs, which `make bundle` writes (carveout/bundle). Its
# last line is the digest of all before it; tar does not read that far.
#
# To be sourced, with `cache`, say(), die() and with_aside() defined.

: "${cache:?}"

bundle_mark=carveout-bundle-1
bundle_line_bytes=83 # the mark, a space, 64 digits and the end of the line

# Prints the folder of the cache with a bundle's config, lock, list of tools and wheels. Its packages go
# into the cache, beside those that are there.
open_bundle() {
	digest=$(check_bundle "$1") || exit
	folder=$cache/bundles/$digest
	[ -e "$folder/tools.list" ] ||
		with_aside "$cache/bundles" unpack_bundle "$1" "$folder" || exit
	echo "$folder"
}

# Unpacks a bundle to a folder aside, and moves its parts from there to their places.
unpack_bundle() {
	folder=$2
	aside=$3
	[ ! -e "$folder/tools.list" ] || return 0 # another checkout has opened the same meanwhile
	say "unpacking the bundle $1 into $cache"
	tar -x --no-same-owner -C "$aside" -f "$1" bundle cache ||
		die "could not unpack $1 into $cache (the output is above)"
	for kind in "$aside"/cache/*; do
		mkdir -p "$cache/${kind##*/}"
		for part in "$kind"/*; do
			place=$cache/${kind##*/}/${part##*/}
			# What is there has the same name, so the same content; a file may have been damaged.
			if [ ! -d "$place" ]; then mv -T "$part" "$place" || exit; fi
		done
	done
	rm -rf "$folder"
	mv -T "$aside/bundle" "$folder"
}

# Prints the beginning of the digest of a bundle that is whole.
check_bundle() {
	{ [ -f "$1" ] && [ -r "$1" ]; } || die "BUNDLE: wanted a bundle, found no file $1 that can be read"
	line=$(tail -c "$bundle_line_bytes" "$1" | tr -d '\000')
	digest=${line#"$bundle_mark "}
	case $digest in
	"$line" | *[!0-9a-f]*)
		die "BUNDLE: wanted a whole bundle, but $1 does not end as one: it was cut off, or it is of" \
			"another kind; copy it again"
		;;
	esac
	found=$(head -c "-$bundle_line_bytes" "$1" | sha256sum | cut -d ' ' -f 1)
	[ "$found" = "$digest" ] ||
		die "BUNDLE: $1 is damaged: wanted sha256 $digest, found $found; copy it again"
	echo "$digest" | cut -c 1-16
}
