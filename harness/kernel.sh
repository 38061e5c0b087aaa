#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Configures and builds one kernel: build/out/TREE-VARIANT/bzImage, of the arm64
# ones (smmuv3, smmuv3-debug) Image. Does not even start make when neither the tree
# nor the configuration changed.
# usage: kernel.sh tree|base plain|debug|smmuv3|smmuv3-debug
#        kernel.sh tree gcov|kcsan|step
#        kernel.sh stock|ours bench
#        kernel.sh mutants plain|debug|smmuv3
. "$(dirname "$0")/lib.sh"

src=$BUILD/$1
out=$BUILD/out/$1-$2
stamp=$out/stamp

# A later ARCH= is the one that counts.
case $2 in
smmuv3*) boot=arm64 cross=aarch64-linux-gnu- machine="ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-" goals=Image ;;
*) boot=x86 cross='' machine='' goals=bzImage ;;
esac
image=$out/$goals

# The two kernels of the benchmark differ in a few files: see bench-source.sh.
case $1-$2 in
tree-plain | tree-debug | tree-gcov | tree-kcsan | tree-step | base-plain | base-debug | mutants-plain | mutants-debug) ;;
tree-smmuv3 | tree-smmuv3-debug | base-smmuv3 | base-smmuv3-debug | mutants-smmuv3) need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu ;;
stock-bench | ours-bench)
	src=$BUILD/bench
	out=$BUILD/out/bench
	;;
*) die "kernel.sh knows no $2 kernel of the tree $1" ;;
esac
log=$out/build.log

fragments()
{
	config=$HARNESS/config
	case $1-$2 in
	*-bench) cat "$config/base.config" "$config/bench.config" ;;
	*-smmuv3) cat "$config/smmuv3.config" ;;
	# Its unwinder is another one.
	*-smmuv3-debug) grep -hv 'UNWINDER\|FRAME_POINTER' "$config/smmuv3.config" "$config/debug.config" ;;
	base-*) cat "$config/base.config" "$config/test.config" "$config/$2.config" "$config/stock.config" ;;
	tree-gcov) cat "$config/base.config" "$config/test.config" "$config/plain.config" "$config/gcov.config" "$config/ours.config" ;;
	tree-step) "$HARNESS/step-config.sh" boot ;;
	tree-*) cat "$config/base.config" "$config/test.config" "$config/$2.config" "$config/ours.config" ;;
	mutants-*)
		grep -v '^CONFIG_\(IOMMUFD\|VFIO.*\)=' "$config/base.config" "$config/test.config" -h
		cat "$config/$2.config" "$config/ours.config" "$config/module.config"
		;;
	esac
}

# Of the gcov kernel only our files count what runs: the rest is upstream's.
profiled=
[ "$2" != gcov ] || profiled='GCOV_PROFILE_eventq.o=y GCOV_PROFILE_eventq_iopf.o=y GCOV_PROFILE_eventq_viommu.o=y'

# What mutants change is in a module, which module.mk goes on with; not on arm64.
case $1-$2 in
mutants-plain | mutants-debug) goals='bzImage modules' ;;
esac

configure()
{
	# shellcheck disable=SC2086 # a list of words
	kmake "$src" "$out" -s $machine allnoconfig KCONFIG_ALLCONFIG="${image%/*}/wanted.config" >"$log" 2>&1 ||
		die "configuring failed: $(tail -n 1 "$log")"
	"$HARNESS/check-config.sh" "${image%/*}/wanted.config" "$out/.config"
}

build()
{
	{
		# shellcheck disable=SC2086 # lists of words
		kmake "$src" "$out" -j"$JOBS" $machine $profiled $goals 2>&1 || echo "make of the kernel failed"
	} | tee "$log" | "$HARNESS/progress.sh"
	! grep -q '^make of the kernel failed$' "$log" || {
		grep -E 'error:|\*\*\*|undefined reference' "$log" | head -n 10 >&2
		die "the $2 kernel of $1 does not build, see $log"
	}
}

mkdir -p "$out" "${image%/*}"
fragments "$1" "$2" >"${image%/*}/wanted.config"
state="$("$HARNESS/tree-id.sh" "$1") $(sha1sum <"${image%/*}/wanted.config") $("${cross}gcc" -dumpfullversion) $goals"
if [ "$state" = "$(cat "$stamp" 2>/dev/null)" ] && [ -f "$image" ]; then
	say "$2 kernel of $1: up to date"
	exit 0
fi
rm -f "$stamp"
say "building the $2 kernel of $1 (about 750 objects)"
case $1 in
stock | ours) "$HARNESS/bench-source.sh" "$1" ;;
mutants) "$HARNESS/worktree.sh" mutants series ;;
esac
configure
build "$1" "$2"
cp "$out/arch/$boot/boot/${image##*/}" "$image"
echo "$state" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "$2 kernel of $1: built"
