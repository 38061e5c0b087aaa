#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A busybox prompt in our booted kernel.
. "$(dirname "$0")/lib.sh"

: "${VARIANT:=plain}"
case $VARIANT in
smmuv3*)
	"$HARNESS/smmuv3.sh" tree "$VARIANT"
	export INITRD="$BUILD/out/smmuv3-iort.cpio"
	;;
*)
	"$HARNESS/kernel.sh" tree "$VARIANT"
	"$HARNESS/programs.sh" selftests
	"$HARNESS/programs.sh" sample
	"$HARNESS/initramfs.sh"
	;;
esac
exec "$HARNESS/boot.sh" tree "$VARIANT" shell "$BUILD/out/shell.log" 0
