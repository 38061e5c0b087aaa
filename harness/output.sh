#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints one section (output, leaks, dmesg) of a guest's console log.
# usage: output.sh LOG SECTION
. "$(dirname "$0")/lib.sh"

tr -d '\r' <"$1" | awk -v want="$2" '/^=eventq= / { on = $2 == want; next } on'
