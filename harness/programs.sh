#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds what runs in the guest, by programs.mk: the selftests into
# build/out/selftests, the sample, the demo and a test of their parts into build/out/sample,
# what measures costs into build/out/benchmark, the arm64 guest's test into
# build/out/smmuv3.
# usage: programs.sh selftests|sample|benchmark|smmuv3
. "$(dirname "$0")/lib.sh"

out=$BUILD/out/$1
log=$out.log

state="$("$HARNESS/tree-id.sh" tree) $("$HARNESS/tree-id.sh" base) $(cat "$HARNESS"/programs.* "$HARNESS/patient.h" "$ROOT"/proof/demo/*.[ch] "$HARNESS"/smmuv3/* "$ROOT"/bench/*.c | sha1sum)"

arch=x86_64
headers=$BUILD/out/tree-headers
[ "$1" != smmuv3 ] || arch=arm64 headers=$headers-arm64

# The uapi headers of build/$1 for $arch into $2, as a program sees them.
install_headers()
{
	to=$2
	id=$("$HARNESS/tree-id.sh" "$1")
	[ "$id" != "$(cat "$to/stamp" 2>/dev/null)" ] || return 0
	mkdir -p "$to"
	make -C "$BUILD/$1" O="$to" ARCH=$arch -s -j"$JOBS" headers >"$to/log" 2>&1 ||
		die "make headers failed in build/$1: $(tail -n 1 "$to/log")"
	echo "$id" >"$to/stamp"
}

[ "$state" != "$(cat "$out/stamp" 2>/dev/null)" ] || exit 0
say "building the $1"
install_headers tree "$headers"
[ "$1" != selftests ] || install_headers base "$BUILD/out/base-headers"
rm -rf "$out.new"
mkdir -p "$out.new"
make -f "$HARNESS/programs.mk" -s -j"$JOBS" --output-sync "$1" BASE="$BUILD/base" \
	SRC="$BUILD/tree" HEADERS="$headers" BASE_HEADERS="$BUILD/out/base-headers" \
	HARNESS="$HARNESS" OUT="$out.new" >"$log" 2>&1 || {
	grep -E 'error:|warning:|\*\*\*' "$log" | head -n 10 >&2
	die "the $1 do not compile, see $log"
}
echo "$state" >"$out.new/stamp"
rm -rf "$out"
mv "$out.new" "$out"
