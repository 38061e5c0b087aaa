#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds what runs in the guest, by programs.mk: the selftests into
# build/out/selftests, or the sample into build/out/sample.
# usage: programs.sh selftests|sample
. "$(dirname "$0")/lib.sh"

headers=$BUILD/out/headers
out=$BUILD/out/$1
log=$out.log

state="$("$HARNESS/tree-id.sh" tree) $("$HARNESS/tree-id.sh" base) $(cat "$HARNESS"/programs.* "$HARNESS/patient.h" | sha1sum)"

# The uapi headers of the tree, as a program sees them.
install_headers()
{
	[ "$state" != "$(cat "$headers/stamp" 2>/dev/null)" ] || return 0
	mkdir -p "$headers"
	make -C "$BUILD/tree" O="$headers" ARCH=x86_64 -s -j"$JOBS" headers >"$headers/log" 2>&1 ||
		die "make headers failed in build/tree: $(tail -n 1 "$headers/log")"
	echo "$state" >"$headers/stamp"
}

[ "$state" != "$(cat "$out/stamp" 2>/dev/null)" ] || exit 0
say "building the $1"
install_headers
rm -rf "$out.new"
mkdir -p "$out.new"
make -f "$HARNESS/programs.mk" -s -j"$JOBS" --output-sync "$1" BASE="$BUILD/base" \
	SRC="$BUILD/tree" HEADERS="$headers" HARNESS="$HARNESS" OUT="$out.new" >"$log" 2>&1 || {
	grep -E 'error:|warning:|\*\*\*' "$log" | head -n 10 >&2
	die "the $1 do not compile, see $log"
}
echo "$state" >"$out.new/stamp"
rm -rf "$out"
mv "$out.new" "$out"
