# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The tools: what envs/system-packages.txt lists, beside the cache instead of in the system, for those
# who are not root and for bundles. They are packages of the machine's own suite, or of the suite of
# the machine that made the bundle, and run with that suite's C library, whatever the machine has.
#
# A list pins them: a line for each package, as sha256sum writes it, with the name of its file. The files
# lie in the cache's archive by their digests, as all packages do.
#
# To be sourced, with `envs`, `cache`, say(), die() and with_aside() defined.

: "${envs:?}" "${cache:?}"

loader=ld-linux-x86-64.so.2
libraries=usr/lib/x86_64-linux-gnu

# What a run needs; what only the tests need, and the archive of this machine's suite may lack, is left.
tool_names() {
	sed -e '/^# Tests/,$d' -e 's/#.*//' "$envs/system-packages.txt" | xargs
}

# Prints the path of the list of this machine's tools. It is made once: tools stay what they are, as
# installed packages do, until somebody removes it.
tools_list() {
	system=$(. /etc/os-release && echo "$ID-${VERSION_ID:-${VERSION_CODENAME:-}}")
	digest=$({ tool_names && echo "$system"; } | sha256sum | cut -c 1-16)
	echo "$cache/tools/$system-$digest.list"
}

# Downloads this machine's tools to a folder aside, as apt would install them here, and writes their list.
fetch_tools() {
	list=$1
	aside=$2
	[ ! -e "$list" ] || return 0 # another checkout has fetched the same meanwhile
	[ "$(dpkg --print-architecture)" = amd64 ] ||
		die "wanted a machine of amd64 to unpack tools on, found $(dpkg --print-architecture)"
	say "fetching tools into $cache/archive (120 MB, once)"
	mkdir -p "$cache/archive" "$aside/lists/partial" "$aside/archives/partial"
	: >"$aside/status"
	# An apt to which nothing is installed, with the sources and keys of the machine's own.
	set -- -q -y -o "Dir::State=$aside" -o "Dir::State::lists=$aside/lists" \
		-o "Dir::State::status=$aside/status" -o "Dir::Cache=$aside" -o APT::Sandbox::User=root \
		-o Debug::NoLocking=true -o APT::Get::AllowUnauthenticated=false \
		-o APT::Install-Recommends=false
	apt-get "$@" update >"$aside/log" 2>&1 ||
		say "apt-get update failed, going on with what it got: $(tail -n 1 "$aside/log")"
	# Unquoted on purpose: a list of words.
	# shellcheck disable=SC2046
	if ! apt-get "$@" --download-only install $(tool_names) >"$aside/log" 2>&1; then
		found=$(grep '^E:' "$aside/log" | head -n 1)
		die "wanted tools from the sources of apt, found: ${found:-nothing};" \
			"check the network and /etc/apt/sources.list, or name a bundle: make BUNDLE=FILE"
	fi
	keep_packages "$aside" "$list" ||
		die "could not keep the tools' packages in $cache/archive (the output is above)"
}

# Moves what was downloaded to the archive, and writes the list. Each step says how it ends: `set -e`
# means nothing in a function whose status is asked for.
keep_packages() {
	cd "$1/archives" || return
	# What every Debian and Ubuntu has, such as dpkg and tar, is the machine's own.
	dpkg-query --show --showformat '${Package}_* ${Essential}\n' |
		sed -n 's/ yes$//p' | xargs sh -c 'rm -f $*' rm || return
	sha256sum -- *.deb >"$1/list" || return
	while read -r digest name; do
		mv "$name" "$cache/archive/$digest.deb" || return
	done <"$1/list"
	mv "$1/list" "$2"
}

# Prints the folder of the tools of a list, which is named by it; unpacks them when they are not there.
unpack_tools() {
	list=$1
	root=$cache/tools/$(sha256sum <"$list" | cut -c 1-16)
	if [ -d "$root" ] && ! are_as_unpacked "$root"; then
		say "$root: wanted the tools as they were unpacked, found other files; they are unpacked anew"
		rm -rf "$root"
	fi
	if [ ! -d "$root" ]; then
		command -v dpkg-deb >/dev/null || die "wanted dpkg-deb to unpack tools, found none in PATH;" \
			"install dpkg, which every Debian and Ubuntu has"
		check_tools "$list"
		with_aside "$cache/tools" unpack_tools_aside "$list" "$root" || exit
	fi
	echo "$root"
}

# Unpacks the tools of a list to a folder aside, and gives that the name of their folder.
unpack_tools_aside() {
	list=$1
	root=$2
	aside=$3
	[ ! -d "$root" ] || return 0 # another checkout has unpacked the same meanwhile
	say "unpacking tools into $root"
	for folder in bin lib lib64 sbin; do # older suites put there what newer ones have below usr
		mkdir -p "$aside/usr/$folder"
		ln -s "usr/$folder" "$aside/$folder"
	done
	while read -r digest _; do
		deb=$cache/archive/$digest.deb
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x --keep-directory-symlink --no-same-owner -C "$aside" ||
			die "could not unpack $deb (the output is above)"
	done <"$list"
	{ wrap_tools "$aside" "$root" && cp "$list" "$aside/list" && list_files "$aside" &&
		mv -T "$aside" "$root"; } ||
		die "could not unpack the tools into $cache/tools (the output is above)"
}

# Writes the digests of all files of a folder into it, as the rest of the cache has them.
list_files() {
	listed=$1/.carveout.sha256
	find "$1" -type f ! -name "${listed##*/}" -printf '%P\0' | sort -z |
		(cd "$1" && xargs -0 sha256sum) >"$listed" &&
		printf '# %s files' "$(wc -l <"$listed")" >>"$listed"
}

# Whether all files that a folder had when it was listed are as they were.
are_as_unpacked() {
	(
		cd "$1" || exit
		[ "$(tail -n 1 .carveout.sha256)" = "# $(grep -vc '^#' .carveout.sha256) files" ] &&
			sha256sum --check --status .carveout.sha256
	) 2>/dev/null
}

# Refuses the packages of a list when one is damaged or missing.
check_tools() {
	found=$(
		sed 's/^\([0-9a-f]*\) .*/\1  \1.deb/' "$1" | (
			cd "$cache/archive" || exit
			sha256sum --check --quiet 2>/dev/null
		)
	) ||
		die "wanted the packages of $1 in $cache/archive, found these damaged or missing:" \
			"$(echo "$found" | cut -d : -f 1 | xargs); remove them and $1, and run again"
}

# Puts a script in place of each program, which runs it with the libraries beside it. Programs find
# their parts by the name that they are called by, and a few by variables.
wrap_tools() {
	aside=$1
	quoted=$(printf '%s' "$2" | sed "s/'/'\\\\''/g")
	find "$aside/usr" -type f -perm -u+x ! -name '*.so*' | while IFS= read -r program; do
		"$aside/$libraries/$loader" --verify "$program" 2>/dev/null || continue # a script
		mv "$program" "$program.elf"
		{
			printf '#!/bin/sh\n'
			wrapper_variables "${program##*/}"
			printf "exec '%s/%s/%s' --library-path '%s/%s' --argv0 \"\$0\" '%s' \"\$@\"\n" \
				"$quoted" "$libraries" "$loader" "$quoted" "$libraries" \
				"$quoted${program#"$aside"}.elf"
		} >"$program"
		chmod 755 "$program"
	done
}

wrapper_variables() {
	case $1 in
	bison) printf "export BISON_PKGDATADIR='%s/usr/share/bison' M4='%s/usr/bin/m4'\n" "$quoted" "$quoted" ;;
	flex) printf "export M4='%s/usr/bin/m4'\n" "$quoted" ;;
	git) printf "export GIT_EXEC_PATH='%s/usr/lib/git-core'\n" "$quoted" ;;
	esac
}
