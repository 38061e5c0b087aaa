#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Measures: builds the stock kernel and ours with one configuration, and leaves
# the rest to bench.py.
. "$(dirname "$0")/../../harness/lib.sh"

"$HARNESS/guest/programs.sh" benchmark
# In this order: ours changes more often, and little is to compile then.
"$HARNESS/kernel/kernel.sh" bench-stock
"$HARNESS/kernel/kernel.sh" bench-ours
"$HARNESS/guest/initramfs.sh"
exec python3 "$PROOF/bench/bench.py"
