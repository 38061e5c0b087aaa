#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Packs busybox, init, the scripts of proof/*/guest and the programs that were built
# into build/out/initramfs.gz, or for arm64 initramfs-arm64.gz: all that a guest
# gets to see.
# usage: initramfs.sh [arm64]
. "$(dirname "$0")/../lib.sh"

need cpio cpio
case ${1:-} in
arm64)
	busybox=$BUILD/arm64/busybox
	image=$OUT/initramfs-arm64.gz
	built=smmuv3
	;;
*)
	need busybox busybox-static
	busybox=$(command -v busybox)
	image=$OUT/initramfs.gz
	built='upstream selftests sample demo benchmark'
	;;
esac
root=$image.root

! readelf -l "$busybox" | grep -q INTERP ||
	die "busybox is not static (Debian package busybox-static)"
rm -rf "$root"
mkdir -p "$root/bin" "$root/tests"
cp "$busybox" "$root/bin/busybox"
cp "$HARNESS/guest/init" "$root/init"
# Installed, with its runner; its builds of upstream's programs are not the base's.
if [ -d "$OUT/programs/kselftest" ]; then
	cp -r "$OUT/programs/kselftest" "$root"
	find "$root/kselftest/iommu" -name 'iommufd_eventq*' -exec cp {} "$root/tests" \;
fi
for programs in $built; do
	programs=$OUT/programs/$programs
	[ ! -d "$programs" ] ||
		find "$programs" -type f -perm -u+x -exec cp {} "$root/tests" \;
done
cp "$PROOF"/*/guest/* "$root/tests"
chmod 755 "$root/init" "$root/bin/busybox" "$root"/tests/*
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$image.new"
mv "$image.new" "$image"
rm -rf "$root"
