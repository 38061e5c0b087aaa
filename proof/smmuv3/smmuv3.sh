#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds all that the arm64 guest with an SMMUv3 takes: QEMU, kernels, what runs in
# them, and build/out/smmuv3-iort.cpio, which such a guest is booted with.
# usage: smmuv3.sh KERNEL...    of kernels.list
. "$(dirname "$0")/../../harness/lib.sh"

"$HARNESS/base/setup.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"$HARNESS/guest/qemu-arm64.sh"
for kernel; do
	"$HARNESS/kernel/kernel.sh" "$kernel"
done
"$HARNESS/guest/programs.sh" smmuv3 arm64
"$HARNESS/guest/initramfs.sh" arm64
"$PROOF/smmuv3/iort.sh" "$1"
