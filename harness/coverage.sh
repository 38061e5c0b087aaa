#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Measures which lines and branches of the event queues the tests run: builds the
# kernel that counts, and leaves the rest to coverage.py.
. "$(dirname "$0")/lib.sh"

need gcov gcc
"$HARNESS/programs.sh" selftests
"$HARNESS/programs.sh" sample
"$HARNESS/kernel.sh" tree gcov
"$HARNESS/initramfs.sh"
exec python3 "$HARNESS/coverage.py"
