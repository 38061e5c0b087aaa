#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the parts of a make target one after the other, one target at a time in a
# build directory. What a part does stands in its own file.
EVENTQ_ROOT=${EVENTQ_ROOT:-$(cd "$(dirname "$0")/.." && pwd -P)}
. "$EVENTQ_ROOT/harness/lib.sh"

# What the caller's make or shell says must not reach the kernel's makes.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH
unset ARCH CROSS_COMPILE LLVM KBUILD_OUTPUT O M C W KCONFIG_ALLCONFIG KCFLAGS CFLAGS
# The kernel's makes drop LC_ALL, and programs that are run must know nothing of ours.
export LC_ALL=C LANG=C
unset LANGUAGE LC_CTYPE LC_MESSAGES INITRD
VARIANT=${V:-plain}
export VARIANT
unset V

# What else there is was never tried on another base.
for part; do
	case $part in
	base | tree | demo | check | check-stock | series | shell | clean | distclean) ;;
	*) [ -z "$below" ] || die "make $part takes the default base only, not BASE=$BASE" ;;
	esac
done

# Kernel makefiles cannot cope with blanks or colons in a path.
case $BUILD in
*[[:space:]:]*) die "the path $BUILD has a blank or a colon in it, kernel builds fail there" ;;
esac

case $JOBS in
*[!0-9]* | 0) die "JOBS=$JOBS is no number of compilers" ;;
esac

# Space for the sources, or for what is built once they are there.
check_space()
{
	if [ -e "$BUILD/base.from" ]; then want=4; else want=12; fi
	have=$(($(df -Pk "$BUILD" | awk 'NR == 2 { print $4 }') / 1048576))
	[ "$have" -ge "$want" ] ||
		die "only $have GB free for $BUILD, $want GB are needed"
}

# Packages come beside the base, where that waits for none of them.
have_packages_and_base()
{
	if command -v xz >/dev/null && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
		"$HARNESS/base/base.sh" &
		base=$!
		"$HARNESS/base/setup.sh" || {
			wait "$base"
			exit 1
		}
		wait "$base"
	else
		"$HARNESS/base/setup.sh"
		"$HARNESS/base/base.sh"
	fi
}

run_part()
{
	case $1 in
	clean) rm -rf "$OUT" "$BUILD"/series "$BUILD"/docs "$BUILD"/bench* "$BUILD"/mutants* "$BUILD"/sparse "$BUILD"/coverage ;;
	distclean) find "$BUILD" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} + ;;
	base) have_packages_and_base ;;
	tree | series) python3 "$HARNESS/tree/tree.py" "$1" ;;
	refresh) python3 "$HARNESS/tree/refresh.py" ${STEP:+"$STEP"} ;;
	shell) "$HARNESS/guest/shell.sh" ;;
	check | check-kernels | check-stock) python3 "$PROOF/check.py" "$1" ${T:+"$T"} ;;
	check-smmuv3) python3 "$PROOF/check.py" smmuv3 ${TREE:+"$TREE"} ;;
	check-series) python3 "$PROOF/series/series.py" ${COMMIT:+"$COMMIT"} ;;
	mutants) python3 "$PROOF/mutants/mutants.py" ${MUTANT:+"$MUTANT"} ;;
	lint | docs) "$PROOF/lint/$1.sh" ;;
	*) "$PROOF/$1/$1.sh" ;;
	esac
}

mkdir -p "$BUILD"
exec 9>"$BUILD/lock"
flock -n 9 || die "another make is at work in $BUILD"
case $1 in
clean | distclean) ;;
*) check_space ;;
esac
for part; do
	run_part "$part"
done
