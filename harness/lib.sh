# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What every shell script of the harness shares: where things are, how to say
# what happens, how to fail. Sourced; does no work of its own.
set -eu

# $0 is the script that sources this file, and all of them lie beside it.
HARNESS=$(cd "$(dirname "$0")" && pwd -P)
ROOT=${HARNESS%/*}
BUILD=${EVENTQ_BUILD:-$ROOT/build}
JOBS=${JOBS:-$(nproc)}
: "${EVENTQ_START:=$(date +%s)}"
export BUILD EVENTQ_START

# One line a person can follow, with the seconds since the start.
say()
{
	printf '[%4d s] %s\n' $(($(date +%s) - EVENTQ_START)) "$*"
}

die()
{
	echo "error: $*" >&2
	exit 1
}

need()
{
	command -v "$1" >/dev/null ||
		die "$1 is not installed (Debian package $2; make demo installs it)"
}

# make in the kernel's sources $1 with its output in $2. A version or a date that
# changes by itself would rebuild what did not change.
kmake()
{
	from=$1
	into=$2
	shift 2
	make -C "$from" O="$into" ARCH=x86_64 LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=eventq KBUILD_BUILD_HOST=eventq "$@"
}
