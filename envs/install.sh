#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs what carveout needs and is missing: system packages by name (envs/system-packages.txt) and
# a Python environment pinned by hash (envs/requirements.txt). Says nothing when nothing is missing.
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

missing_packages() {
	sed 's/#.*//' "$envs/system-packages.txt" | while read -r package; do
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

install_system_packages() {
	command -v dpkg-query >/dev/null ||
		die "needs Debian 12 or newer; other systems: install what envs/system-packages.txt lists," \
			"but kernels still come through apt and dpkg"
	packages=$(missing_packages)
	[ -n "$packages" ] || return 0
	as_root=$(root_prefix) ||
		die "system packages are missing and this user is not root; an administrator should run:" \
			"apt-get update && apt-get install --no-install-recommends$packages"
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

check_python() {
	command -v python3 >/dev/null || die "python3 is not on PATH; install Python 3.11 or newer"
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
		die "needs Python 3.11 or newer, but python3 on PATH ($(command -v python3)) is" \
			"$(python3 -c 'import platform; print(platform.python_version())')"
}

# An environment belongs to the exact interpreter that made it and to the exact packages in it.
environment_name() {
	digest=$({
		python3 -c 'import os, sys; print(sys.version, os.path.realpath(sys.executable))'
		cat "$envs/requirements-build.txt" "$envs/requirements.txt"
	} | sha256sum | cut -c 1-16)
	echo "python-$digest"
}

# Scripts in an environment name its folder, so it is built in its place; the stamp makes it valid.
build_environment() {
	say "making the Python environment $1 (downloads about 300 MB, once)"
	rm -rf "$1"
	python3 -m venv "$1" || die "python3 -m venv failed (its output is above); is python3-venv there?"
	pip="$1/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --no-deps"
	# No isolation: a package without a wheel is built by the pinned setuptools, not by the newest.
	{
		$pip --requirement "$envs/requirements-build.txt" &&
			$pip --no-build-isolation --use-pep517 --requirement "$envs/requirements.txt"
	} || die "pip could not install envs/requirements.txt (its output is above)"
	touch "$1/complete"
}

install_python_environment() {
	check_python
	environment=$cache/$(environment_name)
	if [ ! -e "$environment/complete" ]; then
		{ mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null ||
			die "cannot write to the cache $cache; set XDG_CACHE_HOME to a folder that you own"
		(
			flock 9 # another checkout may be making the same environment
			[ -e "$environment/complete" ] || build_environment "$environment"
		) 9>"$cache/python.lock"
	fi
	[ "$(readlink "$checkout/.venv" || :)" = "$environment" ] ||
		ln -sfn "$environment" "$checkout/.venv"
}

install_system_packages
install_python_environment
