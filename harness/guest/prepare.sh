#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds all that a boot of a kernel with our tests takes: its emulator, the kernel,
# the programs and the initramfs of its architecture.
# usage: prepare.sh KERNEL
. "$(dirname "$0")/../lib.sh"

arch=$(kernel_field "$1" 3)
case $arch in
x86)
	"$HARNESS/kernel/kernel.sh" "$1"
	"$HARNESS/guest/programs.sh" tests
	"$HARNESS/guest/initramfs.sh"
	exit
	;;
i386) "$HARNESS/base/setup.sh" libc6-dev-i386 ;;
arm64)
	"$HARNESS/base/setup.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	"$HARNESS/guest/qemu-arm64.sh"
	;;
esac
"$HARNESS/kernel/kernel.sh" "$1"
"$HARNESS/guest/programs.sh" kselftest "$arch"
"$HARNESS/guest/programs.sh" selftests "$arch"
"$HARNESS/guest/initramfs.sh" "$arch"
