#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the stress test for so many minutes on the debug kernel, then on the one
# that looks for data races. Fails if the test does, or on a report of the kernel:
# of any kind on the former, of a data race in our files or of another kind on the
# latter. What each boot said stays in build/out/log.
# usage: stress.sh [minutes [kernel...]]    SEED=n: another run of random numbers
. "$(dirname "$0")/../../harness/lib.sh"

minutes=${1:-${MINUTES:-20}}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- debug kcsan
# Of all of its cases: the program shares it out.
seconds=$((minutes * 60))
test=iommufd_eventq_stress
failed=0

for kernel; do
	"$HARNESS/kernel/kernel.sh" "$kernel"
done
"$HARNESS/guest/programs.sh" selftests
"$HARNESS/guest/initramfs.sh"
mkdir -p "$OUT/log"
for kernel; do
	log=$OUT/log/stress-$kernel.log
	say "stress on the $kernel kernel, for $minutes minutes"
	status=0
	job=$test
	[ "$kernel" != kcsan ] || job=$job+cat,/sys/kernel/debug/kcsan
	# What the kernel does not know it puts into the environment.
	"$HARNESS/guest/boot.sh" "$kernel" "$job" "$log" \
		$((minutes * 120 + 1200)) log_buf_len=32M "EVENTQ_STRESS_SECONDS=$seconds" \
		${SEED:+"EVENTQ_STRESS_SEED=$SEED"} || status=$?
	python3 "$HARNESS/guest/console.py" "$log" output || status=1
	# One that watches nothing finds nothing.
	[ "$kernel" != kcsan ] ||
		python3 "$HARNESS/guest/console.py" "$log" output | grep -q '^setup_watchpoints: *[1-9]' ||
		status=1
	python3 "$PROOF/stress/reports.py" "$log" "$OUT/$kernel" || status=1
	if [ "$status" = 0 ]; then
		say "stress on the $kernel kernel: passed"
	else
		say "stress on the $kernel kernel: FAILED, see $log"
		failed=1
	fi
done
exit "$failed"
