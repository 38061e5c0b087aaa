#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Configures and builds one kernel: build/out/TREE-VARIANT/bzImage. Does not
# even start make when neither the tree nor the configuration changed.
# usage: kernel.sh tree|base plain|debug
#        kernel.sh tree gcov|kcsan|step
#        kernel.sh stock|ours bench
#        kernel.sh mutants plain|debug
. "$(dirname "$0")/lib.sh"

src=$BUILD/$1
out=$BUILD/out/$1-$2
image=$out/bzImage
stamp=$out/stamp

# The two kernels of the benchmark differ in a few files: see bench-source.sh.
case $1-$2 in
tree-plain | tree-debug | tree-gcov | tree-kcsan | tree-step | base-plain | base-debug | mutants-plain | mutants-debug) ;;
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

# What mutants change is in a module, which module.mk goes on with.
goals=bzImage
[ "$1" != mutants ] || goals='bzImage modules'

configure()
{
	kmake "$src" "$out" -s allnoconfig KCONFIG_ALLCONFIG="${image%/*}/wanted.config" >"$log" 2>&1 ||
		die "configuring failed: $(tail -n 1 "$log")"
	"$HARNESS/check-config.sh" "${image%/*}/wanted.config" "$out/.config"
}

build()
{
	{
		# shellcheck disable=SC2086 # lists of words
		kmake "$src" "$out" -j"$JOBS" $profiled $goals 2>&1 || echo "make of the kernel failed"
	} | tee "$log" | "$HARNESS/progress.sh"
	! grep -q '^make of the kernel failed$' "$log" || {
		grep -E 'error:|\*\*\*|undefined reference' "$log" | head -n 10 >&2
		die "the $2 kernel of $1 does not build, see $log"
	}
}

mkdir -p "$out" "${image%/*}"
fragments "$1" "$2" >"${image%/*}/wanted.config"
state="$("$HARNESS/tree-id.sh" "$1") $(sha1sum <"${image%/*}/wanted.config") $(gcc -dumpfullversion) $goals"
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
cp "$out/arch/x86/boot/bzImage" "$image"
echo "$state" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "$2 kernel of $1: built"
