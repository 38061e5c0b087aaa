#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds all that the arm64 guest with an SMMUv3 takes: QEMU, kernels, what runs in
# them, and build/out/smmuv3-iort.cpio, which such a guest is booted with.
# usage: smmuv3.sh tree|base|mutants smmuv3|smmuv3-debug...
. "$(dirname "$0")/lib.sh"

tree=$1
first=$2
shift
"$HARNESS/setup.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"$HARNESS/qemu-arm64.sh"
for kernel; do
	"$HARNESS/kernel.sh" "$tree" "$kernel"
done
"$HARNESS/programs.sh" smmuv3
"$HARNESS/initramfs.sh" arm64
"$HARNESS/iort.sh" "$tree" "$first"
