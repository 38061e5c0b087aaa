#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Configures and builds one kernel of kernels.list: build/out/NAME/bzImage, of the
# arm64 ones Image. Does not even start make if neither the sources nor the
# configuration changed.
# usage: kernel.sh NAME
. "$(dirname "$0")/../lib.sh"

name=$1
sources=$(kernel_field "$name" 2)
[ -n "$sources" ] || die "there is no kernel $name in kernels.list"
[ "$(kernel_field "$name" 6)" != 0 ] || die "$name is no kernel to boot: proof/series compiles objects of it"
arch=$(kernel_field "$name" 3)
goals=$(kernel_field "$name" 4 | tr ',' ' ')
src=$BUILD/${sources%%/*}
image=$OUT/$name/${goals%% *}
wanted=$OUT/$name/wanted.config
stamp=$OUT/$name/stamp
out=$OUT/$name
# The two kernels of the benchmark share what they have in common.
[ "${sources%%/*}" != bench ] || out=$OUT/bench
log=$out/build.log

# A later ARCH= is the one that counts.
cross=
machine=
if [ "$arch" = arm64 ]; then
	cross=aarch64-linux-gnu-
	machine="ARCH=arm64 CROSS_COMPILE=$cross"
	need "${cross}gcc" gcc-aarch64-linux-gnu
elif [ "$arch" = i386 ]; then
	machine=ARCH=i386
fi

# shellcheck disable=SC2086 # lists of words
make_kernel()
{
	kmake "$src" "$out" $machine "$@"
}

put_sources()
{
	case $sources in
	*/*) "$PROOF/bench/source.sh" "${sources#*/}" "${sources%%/*}" ;;
	mutants) "$HARNESS/tree/tree.py" worktree mutants series ;;
	esac
}

configure()
{
	make_kernel -s allnoconfig KCONFIG_ALLCONFIG="$wanted" >"$log" 2>&1 ||
		die "configuring failed: $(tail -n 1 "$log")"
	"$HARNESS/kernel/check-config.sh" "$wanted" "$out/.config"
}

build()
{
	{
		# shellcheck disable=SC2086 # a list of words
		make_kernel -j"$JOBS" $goals 2>&1 || echo "make of the kernel failed"
	} | tee "$log" | "$HARNESS/kernel/progress.sh"
	! grep -q '^make of the kernel failed$' "$log" || {
		grep -E 'error:|\*\*\*|undefined reference' "$log" | head -n 10 >&2
		die "the $name kernel does not build, see $log"
	}
}

mkdir -p "$out" "$OUT/$name"
"$HARNESS/kernel/fragments.sh" "$src" "$(kernel_field "$name" 5)" >"$wanted"
state="$("$HARNESS/tree/tree-id.sh" "${sources##*/}") $(sha1sum <"$wanted") $("${cross}gcc" -dumpfullversion) $goals"
if [ "$state" = "$(cat "$stamp" 2>/dev/null)" ] && [ -f "$image" ]; then
	say "$name kernel: up to date"
	exit 0
fi
rm -f "$stamp"
say "building the $name kernel"
put_sources
configure
build
if [ "$arch" = arm64 ]; then boot=arm64; else boot=x86; fi
cp "$out/arch/$boot/boot/${image##*/}" "$image"
echo "$state" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "$name kernel: built"
