#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A busybox prompt in our booted kernel.
. "$(dirname "$0")/../lib.sh"

kernel=${VARIANT:-plain}
"$HARNESS/guest/prepare.sh" "$kernel"
exec "$HARNESS/guest/boot.sh" "$kernel" shell "$OUT/shell.log" 0
