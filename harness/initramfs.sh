#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Packs busybox, what guest/ holds, and the programs that were built into
# build/out/initramfs.gz: all that a guest gets to see.
. "$(dirname "$0")/lib.sh"

need busybox busybox-static
need cpio cpio
image=$BUILD/out/initramfs.gz
root=$image.root

! readelf -l "$(command -v busybox)" | grep -q INTERP ||
	die "busybox is not static (Debian package busybox-static)"
rm -rf "$root"
mkdir -p "$root/bin" "$root/tests"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$HARNESS/guest/init" "$root/init"
for programs in selftests sample benchmark; do
	programs=$BUILD/out/$programs
	[ ! -d "$programs" ] ||
		find "$programs" -type f -perm -u+x -exec cp {} "$root/tests" \;
done
find "$HARNESS/guest" \( -name 'test-*' -o -name 'send-*' \) -exec cp {} "$root/tests" \;
chmod 755 "$root/init" "$root/bin/busybox" "$root"/tests/*
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$image.new"
mv "$image.new" "$image"
rm -rf "$root"
