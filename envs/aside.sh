# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What is made aside in the cache, and gets its name when it is whole.
#
# To be sourced, with die() defined.

# Runs a command while nobody else makes anything in a folder of the cache. The command's last argument
# is a new folder in that one, which goes when the command ends; what a killed one left goes first.
with_aside() {
	parent=$1
	shift
	mkdir -p "$parent" || exit
	(
		flock 9 || die "could not lock $parent.lock (the output is above)"
		aside=$parent/.aside
		trap 'rm -rf "$aside"' EXIT
		trap 'exit 130' HUP INT TERM # as a shell says it of SIGINT
		{ rm -rf "$aside" && mkdir "$aside"; } || exit
		"$@" "$aside"
	) 9>"$parent.lock"
}
