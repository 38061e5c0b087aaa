#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the KUnit tests as a UML program, as a kernel developer does by hand, and
# leaves what the kernel printed in build/out/kunit-um.log.
. "$(dirname "$0")/../lib.sh"

out=$OUT/kunit-um
log=$out.log

# What UML or kunit.py has by default and nothing here needs is a fifth of the build.
lean="--kconfig_add CONFIG_EXPERT=y"
for option in BLOCK INPUT SERIO HID_SUPPORT USB_SUPPORT HW_RANDOM HWMON INTEL_MEI SUSPEND \
	IO_URING UML_PCI_OVER_VIRTIO; do
	lean="$lean --kconfig_add CONFIG_$option=n"
done

mkdir -p "$out"
cd "$BUILD/tree"
# shellcheck disable=SC2086 # a list of words
python3 -B tools/testing/kunit/kunit.py run --kunitconfig=drivers/iommu/iommufd \
	--build_dir="$out" --jobs="$JOBS" --timeout=300 --raw_output=all \
	$lean --make_options=LOCALVERSION= >"$log" 2>&1 || {
	grep -E 'error|ERROR' "$log" | head -n 5 >&2
	die "kunit.py failed, see $log"
}
