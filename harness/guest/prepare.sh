#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds all that a boot of a kernel with our tests takes: its emulator, the kernel,
# the programs and the initramfs of its architecture.
# usage: prepare.sh KERNEL
. "$(dirname "$0")/../lib.sh"

kernel=$1
goals='kselftest selftests'
# Other scripts take no argument for x86, else the architecture.
set -- "$(kernel_field "$kernel" 3)"
case $1 in
x86)
	goals=tests
	shift
	;;
i386) "$HARNESS/base/setup.sh" libc6-dev-i386 ;;
arm64)
	"$HARNESS/base/setup.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	"$HARNESS/guest/qemu-arm64.sh"
	;;
esac
case $kernel in
*smmuv3*) goals=smmuv3 ;;
esac
"$HARNESS/kernel/kernel.sh" "$kernel"
for goal in $goals; do
	"$HARNESS/guest/programs.sh" "$goal" "$@"
done
"$HARNESS/guest/initramfs.sh" "$@"
[ "${1:-}" != arm64 ] || "$HARNESS/guest/iort.sh" "$kernel"
