#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Makes build/out/arm64-iort.cpio, an initramfs with which the arm64 guest believes
# to be on a coherent host (see iort.py). The table that is changed is QEMU's own,
# which a guest is booted for once.
# usage: iort.sh KERNEL
. "$(dirname "$0")/../lib.sh"

image=$OUT/arm64-iort.cpio
root=$image.root
log=$OUT/log/arm64-iort.log

# The machine is QEMU's, with the devices that boot.sh gives it.
state="$(cat "$BUILD/arm64/stamp") $(cat "$HARNESS"/guest/boot.sh "$HARNESS"/guest/iort.* "$HARNESS/guest/send-iort" | sha1sum)"
[ "$state" != "$(cat "$image.stamp" 2>/dev/null)" ] || exit 0

say "asking QEMU's firmware for its IORT"
mkdir -p "$OUT/log"
INITRD='' "$HARNESS/guest/boot.sh" "$1" send-iort "$log" 300 kmemleak=off ||
	die "the IORT could not be read in the guest, see $log"
folder=$root/kernel/firmware/acpi
rm -rf "$root" "$image.stamp"
mkdir -p "$folder"
python3 "$HARNESS/guest/console.py" "$log" output >"$root.text"
python3 -B "$HARNESS/guest/iort.py" <"$root.text" >"$folder/iort.aml"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$image"
rm -rf "$root" "$root.text"
echo "$state" >"$image.stamp"
