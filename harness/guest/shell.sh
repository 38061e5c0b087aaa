#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A busybox prompt in our booted kernel.
. "$(dirname "$0")/../lib.sh"

kernel=${VARIANT:-plain}
case $kernel in
smmuv3*)
	"$PROOF/smmuv3/smmuv3.sh" "$kernel"
	export INITRD="$OUT/smmuv3-iort.cpio"
	;;
*)
	"$HARNESS/kernel/kernel.sh" "$kernel"
	"$HARNESS/guest/programs.sh" tests
	"$HARNESS/guest/initramfs.sh"
	;;
esac
exec "$HARNESS/guest/boot.sh" "$kernel" shell "$OUT/shell.log" 0
