#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Compiles what is in build/tree, one commit of the series, in one configuration
# of kernels.list, into build/out/NAME: iommufd, the drivers beside it and what
# includes its headers, seen by gcc with W=1 and by sparse; of x86-module a whole
# kernel with its modules. Only what changed since the commit before is compiled.
# What the compilers say is added to build.log there.
# usage: commit-objects.sh x86-test|x86-noiopf|x86-module|i386|arm64
. "$(dirname "$0")/../../harness/lib.sh"

tree=$BUILD/tree
out=$OUT/$1
log=$out/build.log

# What must have come out, so that no configuration stops to mean what it says
iommufd='iommufd/main iommufd/driver'
case $1 in
x86-test) made="$iommufd iommufd/selftest amd/iommufd intel/nested io-pgfault ../vfio/iommufd ../vfio/pci/vfio_pci_core" ;;
x86-noiopf) made="$iommufd ../vfio/iommufd ../vfio/pci/vfio_pci_core" ;;
x86-module) made="$iommufd iommufd/selftest io-pgfault" ;;
i386) made="$iommufd iommufd/selftest intel/nested io-pgfault ../vfio/iommufd" ;;
arm64) made="$iommufd arm/arm-smmu-v3/arm-smmu-v3-iommufd arm/arm-smmu-v3/tegra241-cmdqv io-pgfault ../vfio/iommufd" ;;
esac

# A later ARCH= is the one that counts.
case $(kernel_field "$1" 3) in
x86) machine= ;;
i386) machine=ARCH=i386 ;;
arm64) machine='ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-' ;;
esac
goals=$(kernel_field "$1" 4 | tr ',' ' ')
case $goals in
vmlinux*) ;;
*) goals="W=1 C=1 CHECK=$BUILD/sparse/sparse $goals" ;;
esac

# Of each object that gcc made anew, sparse must have seen the source.
unseen_by_sparse()
{
	sed -n 's/^  CC \(\[M\]\)\? *\(.*\)\.o$/\2/p' "$log" | grep '^drivers/iommu/iommufd/' |
		while IFS= read -r name; do
			grep -q "^  CHECK  *\(.*/\)\?$name\.c$" "$log" || echo "$name.c"
		done
}

# Objects that divide 64 bits by 64 where the machine cannot: they call what only
# user space has, which nobody would see before the kernel is linked.
divide_64()
{
	[ "$1" != i386 ] || nm -A -u "$out"/drivers/iommu/iommufd/*.o | grep -E ' __u?(div|mod)di3$'
}

mkdir -p "$out"
"$HARNESS/kernel/fragments.sh" "$tree" "$(kernel_field "$1" 5)" >"$out/wanted.config"
# shellcheck disable=SC2086 # a list of words
kmake "$tree" "$out" $machine -s allnoconfig KCONFIG_ALLCONFIG="$out/wanted.config" >"$out/config.log" 2>&1 ||
	die "configuring failed: $(tail -n 1 "$out/config.log")"
"$HARNESS/kernel/check-config.sh" "$out/wanted.config" "$out/.config"
# shellcheck disable=SC2086 # lists of words
kmake "$tree" "$out" $machine -j"$JOBS" $goals >>"$log" 2>&1 || {
	grep -E 'error:|\*\*\*|undefined' "$log" | tail -n 10 >&2
	die "it does not build, see $log"
}
for object in $made; do
	[ -f "$out/drivers/iommu/$object.o" ] || die "no $object.o was built in $out/drivers/iommu"
done
! grep -q 'too old' "$log" || die "$(grep 'too old' "$log" | head -n 1)"
case $goals in
*CHECK=*) unseen=$(unseen_by_sparse | head -n 1) ;;
*) unseen= ;;
esac
[ -z "$unseen" ] || die "sparse did not see $unseen"
calls=$(divide_64 "$1" | head -n 1)
[ -z "$calls" ] || die "it would not link: ${calls##*/}"
