# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# Sourced by quickstart and check: installs what is missing, configures and
# builds in $build. Needs $top; quiet unless something fails.

say() { printf '%s\n' "$*" >&2; }

install_packages() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
			grep -q 'ok installed' || missing="$missing $p"
	done
	[ -z "$missing" ] && return
	sudo=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			say "These Debian packages are missing; install them as root:$missing"
			exit 1
		}
		sudo=sudo
	fi
	say "Installing Debian packages:$missing"
	run_quiet "$sudo" apt-get update
	# shellcheck disable=SC2086
	run_quiet "$sudo" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $missing
}

# Runs a command with its output kept back, shown only when it fails. An
# empty first word is dropped.
run_quiet() {
	[ -n "$1" ] || shift
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1 </dev/null; then
		say "failed: $*"
		tail -n 40 "$log" >&2
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
}

configure_and_build() { # build directory, configure options...
	dir=$1
	shift
	if [ ! -x "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
		(cd "$top" && run_quiet autoreconf -fi) || exit 1
	fi
	mkdir -p "$dir"
	if [ ! -f "$dir/Makefile" ]; then
		(cd "$dir" && run_quiet "$top/configure" "$@") || exit 1
	fi
	run_quiet make -C "$dir" -j "$(nproc)"
}
