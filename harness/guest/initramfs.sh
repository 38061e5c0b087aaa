#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Packs busybox, init, the scripts of proof/*/guest and the programs that were built
# into build/out/initramfs.gz, of another architecture initramfs-ARCH.gz: all that a
# guest gets to see.
# usage: initramfs.sh [i386|arm64]
. "$(dirname "$0")/../lib.sh"

need cpio cpio
of=${1:+-$1}
image=$OUT/initramfs$of.gz
root=$image.root
if [ -n "$of" ]; then
	"$HARNESS/guest/busybox.sh" "$1"
	busybox=$BUILD/$1/busybox
else
	need busybox busybox-static
	busybox=$(command -v busybox)
fi

! readelf -l "$busybox" | grep -q INTERP ||
	die "busybox is not static (Debian package busybox-static)"
rm -rf "$root"
mkdir -p "$root/bin" "$root/tests"
cp "$busybox" "$root/bin/busybox"
cp "$HARNESS/guest/init" "$root/init"
# Installed, with its runner; its builds of upstream's programs are not the base's.
if [ -d "$OUT/programs$of/kselftest/iommu" ]; then
	cp -r "$OUT/programs$of/kselftest" "$root"
	find "$root/kselftest/iommu" -name 'iommufd_eventq*' -exec cp {} "$root/tests" \;
fi
for programs in "$OUT/programs$of"/*/; do
	[ -d "$programs/iommu" ] ||
		find "$programs" -type f -perm -u+x -exec cp {} "$root/tests" \;
done
cp "$HARNESS/guest/send-iort" "$PROOF"/*/guest/* "$root/tests"
chmod 755 "$root/init" "$root/bin/busybox" "$root"/tests/*
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$image.new"
mv "$image.new" "$image"
rm -rf "$root"
