#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds, static, what runs in the guest, into build/out/TREE-programs:
# upstream's selftests, always from the sources of the base; from build/tree
# our selftests and the sample. All see the uapi headers of the tree under test.
# usage: programs.sh tree|base
. "$(dirname "$0")/lib.sh"

src=$BUILD/$1
headers=$BUILD/out/$1-headers
out=$BUILD/out/$1-programs

state="$("$HARNESS/tree-id.sh" "$1") $("$HARNESS/tree-id.sh" base) $(cat "$0" "$HARNESS/patient.h" | sha1sum)"
[ "$state" != "$(cat "$out/stamp" 2>/dev/null)" ] || exit 0

# $1: result, then sources and flags
compile()
{
	result=$1
	shift
	gcc -O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -static \
		-ffile-prefix-map="$BUILD/"= -isystem "$headers/usr/include" -o "$out.new/$result" "$@" -luring -lcap -lpthread ||
		die "$result does not compile"
}

# $1: tree, $2: flag, then names of selftest programs in the tree
selftests()
{
	tests=$1/tools/testing/selftests
	flag=$2
	shift 2
	for name; do
		compile "$name" "$flag" -I "$tests" "$tests/iommu/$name.c"
	done
}

our_selftests()
{
	for file in "$src"/tools/testing/selftests/iommu/iommufd_eventq*.c; do
		[ ! -f "$file" ] || basename "$file" .c
	done
}

say "building the test programs of build/$1"
mkdir -p "$headers"
make -C "$src" O="$headers" ARCH=x86_64 -s headers >"$headers/log" 2>&1 ||
	die "make headers failed in build/$1: $(tail -n 1 "$headers/log")"
rm -rf "$out.new"
mkdir -p "$out.new"
selftests "$BUILD/base" "-include$HARNESS/patient.h" iommufd iommufd_fail_nth
if [ "$1" = tree ]; then
	# shellcheck disable=SC2046 # a list of names
	selftests "$src" -Wall $(our_selftests)
	if [ -d "$src/samples/iommufd" ]; then
		compile iommufd_eventq_vmm -I "$src/drivers/iommu/iommufd" "$src"/samples/iommufd/*.c
	fi
fi
echo "$state" >"$out.new/stamp"
rm -rf "$out"
mv "$out.new" "$out"
