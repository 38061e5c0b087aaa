#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Configures and builds one kernel in build/out/TREE-VARIANT. Does not even
# start make when neither the tree nor the configuration changed.
# usage: kernel.sh tree|base plain|debug
. "$(dirname "$0")/lib.sh"

src=$BUILD/$1
out=$BUILD/out/$1-$2
log=$out/build.log

case $1-$2 in
tree-plain | tree-debug | base-plain | base-debug) ;;
*) die "kernel.sh knows the trees tree and base, the variants plain and debug, not $1 $2" ;;
esac

fragments()
{
	cat "$HARNESS/config/base.config" "$HARNESS/config/$2.config"
	case $1 in
	base) cat "$HARNESS/config/stock.config" ;;
	tree) cat "$HARNESS/config/ours.config" ;;
	esac
}

# A version or a date that changes by itself would rebuild what did not change.
kmake()
{
	make -C "$src" O="$out" ARCH=x86_64 LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=eventq KBUILD_BUILD_HOST=eventq "$@"
}

configure()
{
	kmake -s allnoconfig KCONFIG_ALLCONFIG="$out/wanted.config" >"$log" 2>&1 ||
		die "configuring failed: $(tail -n 1 "$log")"
	"$HARNESS/check-config.sh" "$out/wanted.config" "$out/.config"
}

build()
{
	{
		kmake -j"$JOBS" bzImage 2>&1 || echo "make of the kernel failed"
	} | tee "$log" | "$HARNESS/progress.sh"
	! grep -q '^make of the kernel failed$' "$log" || {
		grep -E 'error:|\*\*\*|undefined reference' "$log" | head -n 10 >&2
		die "the $2 kernel of build/$1 does not build, see $log"
	}
}

mkdir -p "$out"
fragments "$1" "$2" >"$out/wanted.config"
state="$("$HARNESS/tree-id.sh" "$1") $(sha1sum <"$out/wanted.config") $(gcc -dumpfullversion)"
if [ "$state" = "$(cat "$out/stamp" 2>/dev/null)" ] && [ -f "$out/arch/x86/boot/bzImage" ]; then
	say "$2 kernel of build/$1: up to date"
	exit 0
fi
rm -f "$out/stamp"
say "building the $2 kernel of build/$1 (about 750 objects)"
configure
build "$1" "$2"
echo "$state" >"$out/stamp.new"
mv "$out/stamp.new" "$out/stamp"
say "$2 kernel of build/$1: built"
