#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts what an arm64 guest with a nesting SMMUv3 takes into build/arm64: QEMU (9.2
# or later), firmware (ACPI on arm64 comes by EFI only) and a busybox. What the
# machine has will do, else they come from Debian's packages, unpacked and never
# installed. What is there already stays; stamp says what it is. Files named by
# EFI_ARM64 and BUSYBOX_ARM64 come before all others.
. "$(dirname "$0")/../lib.sh"

dest=$BUILD/arm64
apt_dir=$dest/apt
. "$HARNESS/base/apt.sh"

oldest=9.2
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null || :)

# How qemu-system-aarch64 is called
qemu_version()
{
	"$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'
}

is_new_enough()
{
	[ -n "$1" ] && [ "$(printf '%s\n' "$oldest" "$1" | sort -V | head -n 1)" = "$oldest" ]
}

# Unpacks packages of the lists that were read into $1, which appears whole or not
# at all.
unpack()
{
	to=$1
	shift
	rm -rf "$dest/dl" "$to" "$to.new"
	mkdir -p "$dest/dl" "$to.new"
	(cd "$dest/dl" && private_apt download "$@") >"$dest/log" 2>&1 ||
		die "the download of $* failed: $(grep '^E:' "$dest/log" | tail -n 1)"
	for deb in "$dest"/dl/*.deb; do
		dpkg-deb -x "$deb" "$to.new" || die "${deb##*/} is damaged: run this again"
	done
	rm -rf "$dest/dl"
	mv "$to.new" "$to"
}

# The version of a package in the lists that were read, without its epoch
offered()
{
	apt_tool=apt-cache private_apt show "$1" 2>/dev/null |
		sed -n 's/^Version: \([0-9]*:\)\?\([0-9.]*\).*/\2/p' | head -n 1
}

# Reads the lists of the first suite whose QEMU will do.
find_suite()
{
	for suite in "$release" "$release-backports"; do
		read_lists deb "$suite" "; a qemu-system-aarch64 of $oldest or later on the PATH will do as well"
		if is_new_enough "$(offered qemu-system-arm)"; then
			return
		fi
	done
	die "a nesting SMMUv3 takes QEMU $oldest or later, which Debian's $release and $release-backports have not"
}

# A QEMU that is not where it was built for is told where its parts are.
fetch_qemu()
{
	need_debian "qemu-system-aarch64 of $oldest or later" 'one on the PATH will do'
	find_suite
	say "downloading QEMU for arm64 from Debian's $suite"
	unpack "$dest/root" qemu-system-arm qemu-system-common qemu-system-data
	cat >"$dest/qemu" <<-'WRAPPER'
		#!/bin/sh
		root=$(dirname "$0")/root/usr
		for modules in "$root"/lib/*/qemu; do
			export QEMU_MODULE_DIR="$modules"
		done
		exec "$root/bin/qemu-system-aarch64" -L "$root/share/qemu" "$@"
	WRAPPER
	chmod +x "$dest/qemu"
	[ -n "$(qemu_version "$dest/qemu")" ] ||
		die "Debian's QEMU does not run here: $("$dest/qemu" --version 2>&1 | tail -n 1)"
}

have_qemu()
{
	! is_new_enough "$(qemu_version "$dest/qemu")" || return 0
	rm -f "$dest/qemu"
	if is_new_enough "$(qemu_version qemu-system-aarch64)"; then
		ln -s "$(command -v qemu-system-aarch64)" "$dest/qemu"
	else
		fetch_qemu
	fi
}

# Takes the first of the files that there is for $1.
take()
{
	part=$dest/$1
	shift
	for file; do
		if [ -s "$file" ]; then
			cp "$file" "$part.new"
			mv "$part.new" "$part"
			return 0
		fi
	done
	return 1
}

# The file that the user names for a part
take_named()
{
	take "$1" "$2" || die "there is no file $2, which is to be the arm64 guest's $1"
}

# $1: the part; $2: its package, and where it is in there: packages of one release
# may have it elsewhere than those of another.
fetch()
{
	part_name=$1
	package=$2
	shift 2
	read_lists deb "$release" "; the arm64 guest takes its $package"
	unpack "$dest/unpacked" "$package"
	(cd "$dest/unpacked" && take "$part_name" "$@") ||
		die "$package of Debian's $release has not the file that is wanted of it"
	rm -rf "$dest/unpacked"
}

# $1: what is missing; $2: what else will do
need_debian()
{
	[ -n "$release" ] || die "$1 is missing, and this is no Debian, where it could be had from; $2"
}

have_firmware()
{
	if [ -n "${EFI_ARM64:-}" ]; then
		take_named QEMU_EFI.fd "$EFI_ARM64"
	elif [ ! -s "$dest/QEMU_EFI.fd" ] && ! take QEMU_EFI.fd \
		/usr/share/qemu-efi-aarch64/QEMU_EFI.fd /usr/share/edk2/aarch64/QEMU_EFI.fd; then
		need_debian 'firmware for arm64' 'EFI_ARM64=file names one'
		fetch QEMU_EFI.fd qemu-efi-aarch64 usr/share/qemu-efi-aarch64/QEMU_EFI.fd
	fi
}

have_busybox()
{
	if [ -n "${BUSYBOX_ARM64:-}" ]; then
		take_named busybox "$BUSYBOX_ARM64"
	elif [ ! -s "$dest/busybox" ]; then
		need_debian 'busybox for arm64' 'BUSYBOX_ARM64=file names a static one'
		apt_arch=arm64
		fetch busybox busybox-static usr/bin/busybox bin/busybox
	fi
}

mkdir -p "$dest"
have_qemu
have_firmware
have_busybox
rm -rf "$apt_dir" "$dest/log"
state="QEMU $(qemu_version "$dest/qemu"), $(sha1sum <"$dest/QEMU_EFI.fd" | cut -c1-12)"
[ "$state" != "$(cat "$dest/stamp" 2>/dev/null)" ] || exit 0
echo "$state" >"$dest/stamp"
say "arm64 guest: $state"
