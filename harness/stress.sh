#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the stress test for so many minutes on the debug kernel, then on the one
# that looks for data races. Fails if the test does, or on a report of the kernel:
# of any kind on the former, of a data race in our files or of another kind on the
# latter. What each boot said stays in build/out/log.
# usage: stress.sh [minutes [variant...]]    SEED=n: another run of random numbers
. "$(dirname "$0")/lib.sh"

minutes=${1:-${MINUTES:-20}}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- debug kcsan
# Of all of its cases: the program shares it out.
seconds=$((minutes * 60))
test=iommufd_eventq_stress
failed=0

for variant; do
	"$HARNESS/kernel.sh" tree "$variant"
done
"$HARNESS/programs.sh" selftests
"$HARNESS/programs.sh" sample
"$HARNESS/initramfs.sh"
mkdir -p "$BUILD/out/log"
for variant; do
	log=$BUILD/out/log/stress-$variant.log
	say "stress on the $variant kernel, for $minutes minutes"
	status=0
	job=$test
	[ "$variant" != kcsan ] || job=$job+cat,/sys/kernel/debug/kcsan
	# What the kernel does not know it puts into the environment.
	"$HARNESS/boot.sh" tree "$variant" "$job" "$log" \
		$((minutes * 120 + 1200)) log_buf_len=32M "EVENTQ_STRESS_SECONDS=$seconds" \
		${SEED:+"EVENTQ_STRESS_SEED=$SEED"} || status=$?
	"$HARNESS/output.sh" "$log" output || status=1
	# One that watches nothing finds nothing.
	[ "$variant" != kcsan ] ||
		grep -q '^setup_watchpoints: *[1-9]' "$log" ||
		status=1
	PYTHONDONTWRITEBYTECODE=1 python3 "$HARNESS/reports.py" "$log" \
		"$BUILD/out/tree-$variant" || status=1
	if [ "$status" = 0 ]; then
		say "stress on the $variant kernel: passed"
	else
		say "stress on the $variant kernel: FAILED, see $log"
		failed=1
	fi
done
exit "$failed"
