#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A busybox prompt in our booted kernel.
. "$(dirname "$0")/lib.sh"

: "${VARIANT:=plain}"
"$HARNESS/kernel.sh" tree "$VARIANT"
"$HARNESS/programs.sh" selftests
"$HARNESS/programs.sh" sample
"$HARNESS/initramfs.sh"
exec "$HARNESS/boot.sh" tree "$VARIANT" shell /dev/null 0
