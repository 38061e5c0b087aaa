#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the KUnit tests as a UML program, as a kernel developer does by hand, and
# leaves what the kernel printed in build/out/kunit-um.log.
. "$(dirname "$0")/lib.sh"

out=$BUILD/out/kunit-um
log=$out.log

mkdir -p "$out"
cd "$BUILD/tree"
python3 -B tools/testing/kunit/kunit.py run --kunitconfig=drivers/iommu/iommufd \
	--build_dir="$out" --jobs="$JOBS" --timeout=300 --raw_output=all \
	--make_options=LOCALVERSION= >"$log" 2>&1 || {
	grep -E 'error|ERROR' "$log" | head -n 5 >&2
	die "kunit.py failed, see $log"
}
