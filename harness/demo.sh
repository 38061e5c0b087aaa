#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds our kernel, boots it and shows what a VMM saw in it.
. "$(dirname "$0")/lib.sh"

log=$BUILD/out/demo.log

# At a kernel build's beginning and end there is little to do in parallel.
"$HARNESS/programs.sh" sample &
sample=$!
trap wait EXIT
"$HARNESS/kernel.sh" tree plain
wait "$sample"
"$HARNESS/initramfs.sh"
say "booting it under QEMU and running proof/demo"
status=0
"$HARNESS/boot.sh" tree plain eventq_demo,--demo "$log" 120 || status=$?
echo
"$HARNESS/output.sh" "$log" output
if [ "$status" != 0 ]; then
	die "the demo ended with status $status, its console is in $log"
fi
say "done"
