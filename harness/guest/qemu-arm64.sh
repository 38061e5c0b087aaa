#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts what an arm64 guest with a nesting SMMUv3 takes into build/arm64: QEMU,
# firmware (ACPI on arm64 comes by EFI only) and a busybox, out of Debian's packages,
# which are unpacked and never installed. What is there already stays; stamp says
# what it is.
. "$(dirname "$0")/../lib.sh"

dest=$BUILD/arm64
apt_dir=$dest/apt
. "$HARNESS/base/apt.sh"

oldest=9.2
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

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
	mv "$to.new" "$to"
}

# Reads the lists of the first suite whose QEMU will do.
find_suite()
{
	for suite in "$release" "$release-backports"; do
		read_lists deb "$suite" "; the arm64 guest takes its QEMU"
		offered=$(apt_tool=apt-cache private_apt show qemu-system-arm 2>/dev/null |
			sed -n 's/^Version: \([0-9]*:\)\?\([0-9.]*\).*/\2/p' | head -n 1)
		if [ "$(printf '%s\n' "$oldest" "$offered" | sort -V | head -n 1)" = "$oldest" ]; then
			return
		fi
	done
	die "a nesting SMMUv3 takes QEMU $oldest or later, which Debian's $release and $release-backports have not"
}

# A QEMU that is not where it was built for is told where its parts are.
fetch_qemu()
{
	find_suite
	say "downloading QEMU for arm64 from Debian's $suite"
	unpack "$dest/root" qemu-system-arm qemu-system-common qemu-system-data
	cat >"$dest/qemu.new" <<-'WRAPPER'
		#!/bin/sh
		root=$(dirname "$0")/root/usr
		for modules in "$root"/lib/*/qemu; do
			export QEMU_MODULE_DIR="$modules"
		done
		exec "$root/bin/qemu-system-aarch64" -L "$root/share/qemu" "$@"
	WRAPPER
	chmod +x "$dest/qemu.new"
	"$dest/qemu.new" --version >"$dest/log" 2>&1 ||
		die "Debian's QEMU does not run here: $(tail -n 1 "$dest/log")"
	mv "$dest/qemu.new" "$dest/qemu"
}

# $1: the part; $2: its package; $3...: where it may be in there
fetch()
{
	part=$dest/$1
	package=$2
	shift 2
	[ ! -s "$part" ] || return 0
	read_lists deb "$release" "; the arm64 guest takes its $package"
	unpack "$dest/unpacked" "$package"
	for file; do
		[ ! -s "$dest/unpacked/$file" ] || mv "$dest/unpacked/$file" "$part"
	done
	[ -s "$part" ] || die "$package of Debian's $release has not the file that is wanted of it"
}

mkdir -p "$dest"
[ -x "$dest/qemu" ] || fetch_qemu
fetch QEMU_EFI.fd qemu-efi-aarch64 usr/share/qemu-efi-aarch64/QEMU_EFI.fd
apt_arch=arm64
fetch busybox busybox-static usr/bin/busybox bin/busybox
rm -rf "$apt_dir" "$dest/dl" "$dest/unpacked" "$dest/log"
state="$("$dest/qemu" --version | head -n 1), firmware $(sha1sum <"$dest/QEMU_EFI.fd" | cut -c1-12)"
[ "$state" != "$(cat "$dest/stamp" 2>/dev/null)" ] || exit 0
echo "$state" >"$dest/stamp"
say "arm64 guest: $state"
