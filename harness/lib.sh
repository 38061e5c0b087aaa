# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What every shell script of harness/ and proof/ shares: where things are, how to
# report progress, how to fail. Sourced; does no work of its own.
set -eu

# A script that sources this file lies two folders below the root, or has set
# EVENTQ_ROOT, as run.sh and test.sh do.
ROOT=${EVENTQ_ROOT:-$(cd "$(dirname "$0")/../.." && pwd -P)}
HARNESS=$ROOT/harness
PROOF=$ROOT/proof
JOBS=${JOBS:-$(nproc)}
: "${EVENTQ_START:=$(date +%s)}"
# Where Python finds the modules of other folders
PYTHONPATH=$(echo "$HARNESS"/*/ "$PROOF"/ "$PROOF"/*/ | tr ' ' ':')

# One line of progress, with the seconds since the start
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
		die "$1 is not installed (Debian package $2)"
}

# A field of a kernel's line in kernels.list, by its number
kernel_field()
{
	awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$HARNESS/kernel/kernels.list"
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

# A base that is not the default one is built in a folder of its own.
. "$HARNESS/base/base.conf"
BUILD=${EVENTQ_BUILD:-$ROOT/build$below}
# shellcheck disable=SC2034 # used by those who source this
OUT=$BUILD/out
export EVENTQ_ROOT="$ROOT" EVENTQ_BUILD="$BUILD" BASE EVENTQ_START PYTHONPATH PYTHONDONTWRITEBYTECODE=1
