#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Measures which lines and branches of the event queues the tests run: builds the
# kernel that counts, and leaves the rest to coverage.py.
. "$(dirname "$0")/../../harness/lib.sh"

"$HARNESS/base/setup.sh" gcovr
"$HARNESS/guest/programs.sh" tests
"$HARNESS/kernel/kernel.sh" gcov
"$HARNESS/guest/initramfs.sh"
exec python3 "$PROOF/coverage/coverage.py"
