#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs what carveout needs and is missing: system packages by name (envs/system-packages.txt) and
# a Python environment pinned by hash (envs/requirements.txt). Says nothing when nothing is missing.
#
# Who is not root gets the packages unpacked beside the cache (tools.sh). With BUNDLE=FILE all comes
# from that file (bundle.sh), and nobody is asked: neither the system nor the network.
#
# The Python environment lies in the user's cache under a name made of its content, so that another
# checkout finds it there; `.venv` in the checkout points to it. pip and apt are used as they are
# configured.
set -eu

envs=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(dirname -- "$envs")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/carveout

say() {
	echo "carveout: $*" >&2
}

die() {
	say "$@"
	exit 1
}

# shellcheck source=envs/aside.sh
. "$envs/aside.sh"
# shellcheck source=envs/tools.sh
. "$envs/tools.sh"
# shellcheck source=envs/bundle.sh
. "$envs/bundle.sh"

# Prints those of the packages on stdin that are missing.
missing_of() {
	while read -r package; do
		[ -n "$package" ] || continue
		case $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>&1) in
		installed) ;;
		*) printf ' %s' "$package" ;;
		esac
	done
}

# Says how to become root: nothing, sudo, or a failure. Asks for a password only at a terminal.
root_prefix() {
	if [ "$(id -u)" -eq 0 ]; then
		return 0
	fi
	command -v sudo >/dev/null || return 1
	sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ]; } || return 1
	echo sudo
}

# Prints the folder of unpacked tools, or nothing where the system has all that a run needs.
install_packages() {
	if [ -n "$bundle" ]; then
		unpack_tools "$bundle/tools.list"
		return
	fi
	command -v dpkg-query >/dev/null ||
		die "needs Debian 12 or newer; other systems: install what envs/system-packages.txt lists," \
			"but kernels still come through apt and dpkg"
	packages=$(sed 's/#.*//' "$envs/system-packages.txt" | missing_of)
	[ -n "$packages" ] || return 0
	if as_root=$(root_prefix); then
		install_as_root
	elif [ -n "$(tool_names | tr ' ' '\n' | missing_of)" ]; then
		own_tools
	else
		say "not root, so without what only the tests need:$packages"
	fi
}

# Prints the folder of this machine's own tools.
own_tools() {
	list=$(tools_list)
	[ -e "$list" ] || with_aside "$cache/tools" fetch_tools "$list" || exit
	unpack_tools "$list"
}

install_as_root() {
	say "installing system packages:$packages"
	log=$(mktemp)
	# Unquoted on purpose: a list of words, and a prefix that may be empty.
	# shellcheck disable=SC2086
	$as_root apt-get -q update >"$log" 2>&1 ||
		say "apt-get update failed, going on with the lists that are there: $(tail -n 1 "$log")"
	# shellcheck disable=SC2086
	if ! $as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y install --no-install-recommends $packages >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "apt-get could not install:$packages (its output is above)"
	fi
	rm -f "$log"
}

check_cache() {
	{ mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null ||
		die "cannot write to the cache $cache; set XDG_CACHE_HOME to a folder that you own"
}

check_python() {
	command -v "$python" >/dev/null || die "$python is not on PATH; install Python 3.11 or newer"
	"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
		die "needs Python 3.11 or newer, but $(command -v "$python") is" \
			"$("$python" -c 'import platform; print(platform.python_version())')"
}

# An environment belongs to the exact interpreter that made it and to the exact packages in it.
environment_name() {
	digest=$({
		"$python" -c 'import os, sys; print(sys.version, os.path.realpath(sys.executable))'
		cat "$envs/requirements-build.txt" "$envs/requirements.txt"
	} | sha256sum | cut -c 1-16)
	echo "python-$digest"
}

# Scripts in an environment name its folder, so it is built in its place; the stamp makes it valid.
build_environment() {
	if [ -n "$bundle" ]; then
		say "making the Python environment $1 from the bundle"
		# Of how pip is configured here, nothing counts.
		export PIP_CONFIG_FILE=/dev/null
	else
		say "making the Python environment $1 (downloads about 300 MB, once)"
	fi
	rm -rf "$1"
	make_venv "$1"
	pip() {
		[ -z "$bundle" ] || set -- --isolated --no-index --find-links "$bundle/wheels" "$@"
		"$environment/bin/python" -m pip --quiet --disable-pip-version-check install \
			--require-hashes --no-deps "$@"
	}
	# No isolation: a package without a wheel is built by the pinned setuptools, not by the newest.
	{
		pip --requirement "$envs/requirements-build.txt" &&
			pip --no-build-isolation --use-pep517 --requirement "$envs/requirements.txt"
	} || die "pip could not install envs/requirements.txt (its output is above)"
	touch "$1/complete"
}

make_venv() {
	if [ -z "$tools" ]; then
		python3 -m venv "$1" || die "python3 -m venv failed (its output is above); is python3-venv there?"
		return
	fi
	# The suite's venv looks for pip in the system alone.
	"$python" -m venv --without-pip "$1" || die "$python -m venv failed (its output is above)"
	wheel=$(echo "$tools"/usr/share/python-wheels/pip-*.whl)
	"$1/bin/python" "$wheel/pip" --quiet install --no-index "$wheel" ||
		die "could not install $wheel (the output is above)"
	# With the environment go its tools: who has the one in PATH has the others.
	for program in "$tools"/usr/bin/* "$tools"/usr/sbin/*; do
		case $program in *.elf) continue ;; esac
		[ -e "$1/bin/${program##*/}" ] || ln -s "$program" "$1/bin/"
	done
	mkdir -p "$1/share"
	ln -s "$tools/usr/share/keyrings" "$1/share/keyrings"
	cp "$tools/list" "$1/tools.list"
}

install_python_environment() {
	check_python
	environment=$cache/$(environment_name)
	if [ ! -e "$environment/complete" ]; then
		(
			flock 9 # another checkout may be making the same environment
			[ -e "$environment/complete" ] || build_environment "$environment"
		) 9>"$cache/python.lock"
	fi
	[ "$(readlink "$checkout/.venv" || :)" = "$environment" ] ||
		ln -sfn "$environment" "$checkout/.venv"
}

check_cache
if [ "${1:-}" = tools ]; then
	# For a bundle: the tools of a list, or this machine's own, wherever a run takes them from.
	if [ -n "${2:-}" ]; then unpack_tools "$2"; else own_tools; fi
	exit
fi
bundle=${BUNDLE:+$(open_bundle "$BUNDLE")}
tools=$(install_packages)
[ -z "$bundle" ] || ln -sfn "$bundle" "$checkout/.bundle"
python=${tools:+$tools/usr/bin/}python3
install_python_environment
