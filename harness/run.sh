#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the steps of a make target one after the other, one target at a time in
# a build directory. What a step does stands in the step's own file.
. "$(dirname "$0")/lib.sh"

# What the caller's make or shell says must not reach the kernel's makes.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH
unset ARCH CROSS_COMPILE LLVM KBUILD_OUTPUT O M C W KCONFIG_ALLCONFIG KCFLAGS CFLAGS
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
VARIANT=${V:-plain}
export VARIANT
unset V

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

run_step()
{
	case $1 in
	clean) rm -rf "$BUILD/out" "$BUILD/series" "$BUILD/docs" ;;
	distclean) find "$BUILD" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} + ;;
	tree | series) python3 "$HARNESS/tree.py" "$1" ;;
	refresh) python3 "$HARNESS/refresh.py" ${STEP:+"$STEP"} ;;
	mutants) python3 "$HARNESS/mutants.py" ${MUTANT:+"$MUTANT"} ;;
	check-series) python3 "$HARNESS/series.py" ${COMMIT:+"$COMMIT"} ;;
	check-smmuv3) python3 "$HARNESS/check.py" smmuv3 ${TREE:+"$TREE"} ;;
	check | check-stock) python3 "$HARNESS/check.py" "$1" ${T:+"$T"} ;;
	*) "$HARNESS/$1.sh" ;;
	esac
}

mkdir -p "$BUILD"
exec 9>"$BUILD/lock"
flock -n 9 || die "another make is at work in $BUILD"
case $1 in
clean | distclean) ;;
*) check_space ;;
esac
for step; do
	run_step "$step"
done
