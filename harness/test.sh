#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests of the harness and of the proofs' own tools, TAP on stdout: what they do with
# bad input and after an interruption. On small fake inputs only: no kernel is built
# and no guest is booted here. A test is a function test_* of a file test-*.sh beside
# what it tests, run in a directory of its own, with a build directory of its own.
# usage: test.sh [test...]
# shellcheck disable=SC2317 # what is here is called by the tests
unset BASE
EVENTQ_ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
. "$EVENTQ_ROOT/harness/lib.sh"

tmp=$BUILD/harness-test
unset KSRC T SIGNOFF MAKEFLAGS MAKELEVEL
export LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null

# ---- what tests are made of

nl='
'

# The command must fail with exactly one error line, which has $1 in it.
fails_with()
{
	wanted=$1
	shift
	if "$@" >out.txt 2>err.txt; then
		echo "# no failure, expected: $wanted"
		return 1
	fi
	case $(grep '^error: ' err.txt) in
	*"$nl"*) ;;
	*"$wanted"*) return 0 ;;
	esac
	echo "# expected: $wanted; got:"
	sed 's/^/#   /' err.txt
	return 1
}

works()
{
	"$@" >out.txt 2>err.txt || {
		echo "# failed: $*"
		sed 's/^/#   /' err.txt
		return 1
	}
}

# $1: directory, $2: version: the least that passes for a kernel tree
fake_kernel()
{
	mkdir -p "$1/drivers/iommu/iommufd"
	printf 'VERSION = %s\nPATCHLEVEL = %s\n' "${2%.*}" "${2#*.}" >"$1/Makefile"
	seq 40 | sed 's/^/line /' >"$1/drivers/iommu/iommufd/eventq.c"
	echo 'config IOMMUFD' >"$1/drivers/iommu/iommufd/Kconfig"
	echo same >"$1/README"
}

base()
{
	KSRC=${1:-$PWD/linux} "$HARNESS/base/base.sh"
}

tree()
{
	python3 "$HARNESS/tree/tree.py" "${1:-tree}"
}

# A base (linux, if it is there), a series of one step, and a file to add.
fake_project()
{
	[ -e linux ] || fake_kernel linux 7.3
	works base
	mkdir -p series drivers/iommu/iommufd
	export EVENTQ_SERIES="$PWD/series" EVENTQ_OVERLAY="$PWD"
	echo new >drivers/iommu/iommufd/eventq.h
	step 01-first 'Add: drivers/iommu/iommufd/eventq.h' 20 </dev/null
}

# $1: name, $2: directives, $3: line of eventq.c to change (none: no diff)
step()
{
	{
		printf 'iommufd: %s\n\nWhy it is done.\n\n%s\n---\n' "$1" "$2"
		[ -z "$3" ] || printf '%s\n' '--- a/drivers/iommu/iommufd/eventq.c' \
			'+++ b/drivers/iommu/iommufd/eventq.c' "@@ -$3 +$3 @@" "-line $3" "+LINE $3"
	} >"series/$1.patch"
}

in_tree()
{
	git -C "$EVENTQ_BUILD/tree" "$@"
}

# Puts a command of ours before the system's: $1: name; its text on stdin
fake()
{
	mkdir -p fake
	{
		echo '#!/bin/sh'
		cat
	} >"fake/$1"
	chmod +x "fake/$1"
	PATH=$PWD/fake:$PATH
}

# Work on a copy of the harness and of the proofs' tools, in which scripts can be replaced.
copy_root()
{
	[ ! -d copy ] || return 0
	mkdir copy
	(cd "$ROOT" && git ls-files -co --exclude-standard harness proof |
		grep -vE '^proof/(selftests|demo|smmuv3)/.*\.[ch]$' | xargs tar -cf - --) | tar -C copy -xf -
	PYTHONPATH=$(echo "$PYTHONPATH" | sed "s,$ROOT,$PWD/copy,g")
	ROOT=$PWD/copy
	HARNESS=$ROOT/harness
	PROOF=$ROOT/proof
	export EVENTQ_ROOT="$ROOT"
}

# A script in the place of one of the copy's; $1: its path; its text on stdin
fake_script()
{
	{
		echo '#!/bin/sh'
		cat
	} >"$ROOT/$1"
	chmod +x "$ROOT/$1"
}

# ---- run them

tests=$(echo "$HARNESS"/*/test-*.sh "$PROOF"/*/test-*.sh)
for file in $tests; do
	# shellcheck source=/dev/null
	. "$file"
done
# shellcheck disable=SC2046,SC2086 # lists of names
[ $# -gt 0 ] || set -- $(sed -n 's/^\(test_[a-z_0-9]*\)()$/\1/p' $tests)
rm -rf "$tmp"
number=0
failed=0
echo TAP version 13
echo "1..$#"
for name; do
	number=$((number + 1))
	mkdir -p "$tmp/$name"
	# Not as a condition: there a shell would go on after a failed command.
	set +e
	(
		set -e
		cd "$tmp/$name"
		export EVENTQ_BUILD="$PWD/build"
		mkdir build
		"$name"
	)
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "ok $number ${name#test_}"
	else
		echo "not ok $number ${name#test_}"
		failed=1
	fi
done
rm -rf "$tmp"
exit "$failed"
