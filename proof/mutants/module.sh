#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds iommufd as a module from what is in build/mutants now, for the kernel
# that `kernel.sh mutants-VARIANT` built, and copies it to FILE. What the compiler
# says goes to standard error.
# usage: module.sh plain|debug FILE
. "$(dirname "$0")/../../harness/lib.sh"

out=$OUT/mutants-$1

make -C "$out" -s -j"$JOBS" -f "$PROOF/mutants/module.mk" >&2 || die "the module does not build"
strip --strip-debug -o "$2" "$out/drivers/iommu/iommufd/iommufd.ko"
