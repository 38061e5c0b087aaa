#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Measures: builds the stock kernel and ours with one configuration, and leaves
# the rest to bench/bench.py.
. "$(dirname "$0")/lib.sh"

"$HARNESS/setup.sh" gnuplot-nox
"$HARNESS/programs.sh" benchmark
# In this order: ours changes more often, and little is to compile then.
"$HARNESS/kernel.sh" stock bench
"$HARNESS/kernel.sh" ours bench
"$HARNESS/initramfs.sh"
exec python3 "$ROOT/bench/bench.py"
