#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds our kernel, boots it and shows what reached a VMM in it.
. "$(dirname "$0")/../../harness/lib.sh"

log=$OUT/demo.log

# At a kernel build's beginning and end there is little to do in parallel.
"$HARNESS/guest/programs.sh" demo &
programs=$!
trap wait EXIT
"$HARNESS/kernel/kernel.sh" demo
wait "$programs"
"$HARNESS/guest/initramfs.sh"
say "booting it under QEMU and running proof/demo"
status=0
CPUS=1 "$HARNESS/guest/boot.sh" demo eventq_demo,--demo "$log" "$(kernel_field demo 6)" || status=$?
echo
python3 "$HARNESS/guest/console.py" "$log" output
[ "$status" = 0 ] ||
	die "the demo ended with status $status, its console is in $log"
say "done"
