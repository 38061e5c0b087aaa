#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds a kernel from what is in build/mutants now, in the folder of the one that
# `kernel.sh mutants-KIND` built, and copies it to FILE. What the compiler says goes
# to standard error.
# usage: image.sh smmuv3|builtin FILE
. "$(dirname "$0")/../../harness/lib.sh"

out=$OUT/mutants-$1
file=$2
case $1 in
smmuv3) set -- arm64/boot/Image ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- Image ;;
*) set -- x86/boot/bzImage bzImage ;;
esac
image=$1
shift

kmake "$BUILD/mutants" "$out" -s -j"$JOBS" "$@" >&2 || die "the kernel does not build"
cp "$out/arch/$image" "$file"
