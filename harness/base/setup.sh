#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Installs the Debian packages that are missing. Does nothing, and needs no
# network and no rights, where none is. Without arguments: those that the tree, a
# kernel, the sample and a guest need. Never removes a package of the user's: so
# gcc-multilib, which excludes every cross compiler, is not asked for; of it
# libc6-dev-i386, if asked for, and what comes along here build 32-bit programs.
# usage: setup.sh [PACKAGE that is wanted as well]...
. "$(dirname "$0")/../lib.sh"

packages='build-essential flex bison libelf-dev bc cpio liburing-dev qemu-system-x86
busybox-static git python3 perl xz-utils debian-archive-keyring ca-certificates'

installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# On another system we can only say what it lacks.
check_commands()
{
	for c in gcc make flex bison bc cpio qemu-system-x86_64 busybox git perl xz; do
		command -v "$c" >/dev/null ||
			die "$c is missing, and this is no Debian where I could install it"
	done
}

if ! command -v dpkg-query >/dev/null; then
	check_commands
	exit 0
fi

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "these Debian packages are missing, and there is neither root nor sudo to install them:$missing"
	fi
}

# Installs those of the packages that are missing.
install()
{
	missing=
	for p; do
		installed "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0

	say "installing:$missing"
	[ -n "$updated" ] || as_root apt-get -q update ||
		die "apt-get update failed: is there a network?"
	updated=1
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Dpkg::Use-Pty=0 --no-remove --no-install-recommends install $missing ||
		die "apt-get could not install, without removing others:$missing"
	say "packages installed"
}

# Two at once are no good: apt-get does not wait for another one.
exec 8>"$BUILD/packages"
flock 8
updated=
# shellcheck disable=SC2086 # a list of words
install $packages "$@"
case " $* " in
*' libc6-dev-i386 '*)
	# Named after the version of gcc
	version=$(dpkg-query -W -f '${Depends}' gcc | tr ',' '\n' | sed -n 's/^ *gcc-\([0-9]*\)\>.*/\1/p')
	[ -z "$version" ] || install "lib32gcc-$version-dev"
	;;
esac
