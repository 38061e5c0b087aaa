#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts the pristine base kernel into build/base: a copy of the user's KSRC, or
# Debian's signed source package, without touching the machine's apt set-up.
# build/base.from says what it is; it is written last, so it also says that
# build/base is whole. build/tree and others share its files by hard links: they
# are read-only, and none may be newer than base.from.
. "$(dirname "$0")/../lib.sh"
. "$HARNESS/base/apt.sh"

dest=$BUILD/base
use_ksrc="KSRC=/path/to/linux uses a $BASE tree of your own"

version()
{
	sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' "$1/Makefile" | paste -sd.
}

check_tree()
{
	[ -f "$1/Makefile" ] || die "$1 is no kernel source tree (it lacks a Makefile)"
	[ -f "$1/drivers/iommu/iommufd/Kconfig" ] ||
		die "$1 is no kernel source tree (it lacks drivers/iommu/iommufd)"
	[ "$(version "$1")" = "$BASE" ] || die "$1 is Linux $(version "$1"), not $BASE (BASE=... chooses)"
	[ -f "$1/drivers/iommu/iommufd/eventq.c" ] ||
		die "$1 has no drivers/iommu/iommufd/eventq.c, so it is no pristine $BASE"
	[ ! -f "$1/drivers/iommu/iommufd/eventq_iopf.c" ] ||
		die "$1 has our event queues already, a pristine $BASE is needed"
}

check_pristine()
{
	written=$(find "$dest" ! -type d -newer "$BUILD/base.from" -print -quit)
	[ -z "$written" ] ||
		die "$written was written to (through a hard link?): copy it away if you need it, remove $BUILD/base.from and run this again"
	[ "$(version "$dest")" = "$BASE" ] ||
		die "$dest is Linux $(version "$dest"), not $BASE: build elsewhere, or remove $BUILD/base.from"
}

# $1: the new tree, $2: its description for base.from. To make, the files of
# another base may look older than what was built of those of the former.
land()
{
	rm -rf "$BUILD/base.from" "$BUILD/base.old" "$BUILD/out"
	[ ! -e "$dest" ] || mv "$dest" "$BUILD/base.old"
	mv "$1" "$dest"
	find "$dest" -type f -exec chmod a-w {} +
	echo "$2" >"$BUILD/base.from.new"
	mv "$BUILD/base.from.new" "$BUILD/base.from"
	rm -rf "$BUILD/base.old"
}

# ---- the user's tree

# Of a git tree only what git tracks, so no build output comes along.
ksrc_files()
{
	if [ -e "$1/.git" ] && git -C "$1" ls-files -z 2>/dev/null; then
		return
	fi
	(cd "$1" && find . -name .git -prune -o \( -type f -o -type l \) -print0)
}

# Changes whenever a file of the tree was touched.
ksrc_state()
{
	(cd "$1" && xargs -0 stat -c '%n %s %y' <"$2" 2>/dev/null) | sha256sum | cut -c1-16
}

from_ksrc()
{
	[ -d "$1" ] || die "KSRC=$1 is no directory"
	src=$(cd "$1" && pwd -P)
	check_tree "$src"
	[ "$src" != "$dest" ] || return 0
	ksrc_files "$src" >"$BUILD/ksrc.list"
	from="KSRC $src, state $(ksrc_state "$src" "$BUILD/ksrc.list")"
	if [ "$from" = "$(cat "$BUILD/base.from" 2>/dev/null)" ]; then
		rm -f "$BUILD/ksrc.list"
		return 0
	fi
	say "copying the base kernel from $src"
	rm -rf "$dest.new"
	mkdir "$dest.new"
	# A file that git tracks but the user deleted is not there to copy.
	tar -C "$src" --null --no-recursion --ignore-failed-read -T "$BUILD/ksrc.list" -cf - 2>/dev/null |
		tar -C "$dest.new" -xf - || die "copying $src failed"
	rm -f "$BUILD/ksrc.list"
	[ ! -f "$dest.new/.config" ] && [ ! -d "$dest.new/include/config" ] ||
		make -s -C "$dest.new" mrproper || die "cannot clean the copy of $src"
	check_tree "$dest.new"
	land "$dest.new" "$from"
}

# ---- Debian's package

download()
{
	read_lists deb "$suite" "; $use_ksrc"
	private_apt --print-uris download "$package" >/dev/null 2>&1 ||
		die "there is no package $package in Debian's suite $suite; $use_ksrc"
	rm -rf "$BUILD/dl.new"
	mkdir "$BUILD/dl.new"
	(cd "$BUILD/dl.new" && private_apt download "$package") ||
		die "the download of $package failed; $use_ksrc"
	mkdir -p "$BUILD/dl"
	mv "$BUILD/dl.new/$package"_*.deb "$BUILD/dl/"
	rm -rf "$BUILD/dl.new" "$apt_dir"
}

downloaded()
{
	find "$BUILD/dl" -name "${package}_*.deb" 2>/dev/null | head -n 1
}

# The archive is streamed through: xz notices when it ends too early.
unpack()
{
	rm -rf "$dest.new"
	mkdir "$dest.new"
	dpkg-deb --fsys-tarfile "$1" | tar -xOf - "./usr/src/$package.tar.xz" |
		tar -C "$dest.new" --strip-components=1 -xJf -
}

from_debian()
{
	[ -n "$(downloaded)" ] || {
		say "downloading $package from Debian's suite $suite"
		download
	}
	deb=$(downloaded)
	say "unpacking ${deb##*/}"
	unpack "$deb" || {
		rm -rf "$deb" "$dest.new"
		die "$deb was damaged and is removed: run this again"
	}
	check_tree "$dest.new"
	land "$dest.new" "Debian ${deb##*/}"
}

if [ -n "${KSRC:-}" ]; then
	from_ksrc "$KSRC"
elif [ ! -f "$BUILD/base.from" ]; then
	from_debian
fi
check_pristine
say "base kernel: $(cat "$BUILD/base.from")"
