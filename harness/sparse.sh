#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Makes build/sparse/sparse, of Debian's signed source package: the kernel wants
# a newer sparse than a stable Debian has, and with an older one checks nothing,
# with no more than a warning. Does nothing once it is there.
. "$(dirname "$0")/lib.sh"
. "$HARNESS/apt.sh"

dest=$BUILD/sparse

[ ! -x "$dest/sparse" ] || exit 0
say "building sparse"
rm -rf "$dest.new"
mkdir -p "$dest.new"
read_lists deb-src sid ''
(cd "$dest.new" && private_apt source --download-only sparse) >"$dest.new/log" 2>&1 ||
	die "the download of sparse's source failed, see $dest.new/log"
rm -rf "$apt_dir"
tar -C "$dest.new" --strip-components=1 -xf "$(find "$dest.new" -name 'sparse_*.orig.tar.*' ! -name '*.asc')"
make -s -C "$dest.new" -j"$JOBS" sparse >>"$dest.new/log" 2>&1 ||
	die "sparse does not build, see $dest.new/log"
rm -rf "$dest"
mv "$dest.new" "$dest"
