#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Packs busybox, the guest's init and the programs of a tree into
# build/out/TREE-initramfs.gz, all that a guest gets to see.
# usage: initramfs.sh tree|base
. "$(dirname "$0")/lib.sh"

need busybox busybox-static
need cpio cpio
programs=$BUILD/out/$1-programs
image=$BUILD/out/$1-initramfs.gz
root=$image.root

! readelf -l "$(command -v busybox)" | grep -q INTERP ||
	die "busybox is not static (Debian package busybox-static)"
rm -rf "$root"
mkdir -p "$root/bin" "$root/tests"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$HARNESS/guest/init" "$root/init"
find "$programs" -type f -perm -u+x -exec cp {} "$root/tests" \;
chmod 755 "$root/init" "$root/bin/busybox"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$image.new"
mv "$image.new" "$image"
rm -rf "$root"
