#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds what runs in the guest into build/out/programs/GOAL, for another architecture
# than the machine's into build/out/programs-ARCH/GOAL: the product's selftests as the
# kernel's Makefiles make and install them (kselftest), the others by programs.mk. For
# another architecture all are made by programs.mk: upstream's, which these Makefiles
# make as well, take a libcap that the machine does not have.
# usage: programs.sh upstream|kselftest|selftests|sample|demo|benchmark
#        programs.sh kselftest|selftests|smmuv3 i386|arm64     for that architecture
#        programs.sh tests    all that make check runs on x86
#        programs.sh list kselftest|selftests [i386|arm64]     prints their names, ours only
. "$(dirname "$0")/../lib.sh"

only=
if [ "$1" = list ]; then
	only=names
	shift
fi
arch=${2:-x86_64}
of=${2:+-$2}
case $arch in
arm64) cc=aarch64-linux-gnu-gcc ;;
# The harness of the kselftests casts pointers to 64-bit integers.
i386) cc='gcc -m32 -Wno-pointer-to-int-cast -Wno-int-to-pointer-cast' ;;
*) cc=gcc ;;
esac
headers=$OUT/tree-headers$of

by_programs_mk()
{
	make -f "$HARNESS/guest/programs.mk" -s -j"$JOBS" --output-sync "$1" BASE_SRC="$BUILD/base" \
		CC="$cc" SRC="$BUILD/tree" HEADERS="$headers" BASE_HEADERS="$OUT/base-headers" \
		HARNESS="$HARNESS" PROOF="$PROOF" OUT="$out.new"
}

by_kselftest()
{
	make -C "$BUILD/tree/tools/testing/selftests" -s -j"$JOBS" O="$headers" TARGETS=iommu \
		LDFLAGS=-static INSTALL_PATH="$out.new" install
}

list()
{
	case $1 in
	kselftest) sed -n 's/^TEST_GEN_PROGS += \(iommufd_eventq\)/\1/p' "$BUILD/tree/tools/testing/selftests/iommu/Makefile" ;;
	*) out=. by_programs_mk list ;;
	esac
}

# The uapi headers of build/$1 for $arch into $2, as a program sees them
install_headers()
{
	to=$2
	id=$("$HARNESS/tree/tree-id.sh" "$1")
	[ "$id" != "$(cat "$to/stamp" 2>/dev/null)" ] || return 0
	mkdir -p "$to"
	make -C "$BUILD/$1" O="$to" ARCH="$arch" -s -j"$JOBS" headers >"$to/log" 2>&1 ||
		die "make headers failed in build/$1: $(tail -n 1 "$to/log")"
	echo "$id" >"$to/stamp"
}

if [ -n "$only" ]; then
	list "$1"
	exit
fi
if [ "$1" = tests ]; then
	for goal in upstream kselftest selftests sample demo; do
		"$0" "$goal"
	done
	exit
fi

out=$OUT/programs$of/$1
log=$out.log
state="$("$HARNESS/tree/tree-id.sh" tree) $("$HARNESS/tree/tree-id.sh" base) $(
	cat "$HARNESS"/guest/programs.* "$HARNESS/guest/patient.h" "$PROOF"/*/*.[ch] "$PROOF"/*/*/*.[ch] | sha1sum)"
[ "$state" != "$(cat "$out/stamp" 2>/dev/null)" ] || exit 0
case $1 in
upstream) "$HARNESS/base/setup.sh" libcap-dev ;;
kselftest) "$HARNESS/base/setup.sh" libcap-dev rsync ;;
selftests) "$HARNESS/base/setup.sh" libc6-dev-i386 ;;
esac
say "building the programs of $1${2:+ for $2}"
install_headers tree "$headers"
[ "$1" != upstream ] || install_headers base "$OUT/base-headers"
rm -rf "$out.new"
mkdir -p "$out.new"
case $1$of in
kselftest) by_kselftest ;;
*) by_programs_mk "$1" ;;
esac >"$log" 2>&1 || {
	grep -E 'error:|warning:|\*\*\*' "$log" | head -n 10 >&2
	die "the programs of $1 do not compile, see $log"
}
echo "$state" >"$out.new/stamp"
rm -rf "$out"
mv "$out.new" "$out"
