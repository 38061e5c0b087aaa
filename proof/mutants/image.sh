#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds the arm64 kernel from what is in build/mutants now, in the folder of the one
# that `kernel.sh mutants-smmuv3` built, and copies it to FILE. What the compiler says
# goes to standard error.
# usage: image.sh FILE
. "$(dirname "$0")/../../harness/lib.sh"

out=$OUT/mutants-smmuv3

kmake "$BUILD/mutants" "$out" -s -j"$JOBS" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- Image >&2 ||
	die "the kernel does not build"
cp "$out/arch/arm64/boot/Image" "$1"
