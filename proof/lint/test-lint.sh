# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of findings.py, which judges what the checks of lint.sh find, and of
# sparse.sh, which finds the sparse that one of them runs.
# shellcheck disable=SC2317,SC2016 # the tests are called by their names; the scripts in them expand

# $1: the excuses; the findings are on stdin
findings()
{
	mkdir -p expected
	printf '%s\n' '# a comment' "$1" >expected/lint.list
	python3 -c 'import pathlib, sys, findings
findings.LIST = pathlib.Path("expected/lint.list")
sys.argv[1:] = ["7", "style", "style"]
sys.exit(findings.main())' >out.txt 2>err.txt
}

test_no_finding()
{
	findings '' </dev/null
	grep -qx 'ok 7 style' out.txt
}

test_finding_that_nothing_excuses()
{
	if echo 'a.c:1: warning: odd' | findings 'style b.c odd  # b.c is'; then return 1; fi
	grep -q '^not ok 7 style # 2: a.c:1: warning: odd$' out.txt
	grep -q '^#   proof/lint/lint.list:2: excuses nothing any more$' out.txt
}

test_finding_that_is_excused()
{
	printf '%s\n' 'a.c:1: warning: odd' 'a.c:1: warning: odd' 'a.c:9: warning: odd' |
		findings 'style *.c warning: odd$  # it is not'
	grep -qx 'ok 7 style # 2 excused' out.txt
}

test_excuse_of_another_tool()
{
	if echo 'a.c:1: warning: odd' | findings 'other *.c odd  # it is not'; then return 1; fi
	grep -q '^not ok 7 style # 1: a.c:1' out.txt
}

test_excuse_without_a_reason()
{
	if findings 'style *.c odd' </dev/null; then return 1; fi
	grep -q '^error: lint.list:2 is not of its form$' err.txt
}

# sparse.sh, with a kernel that asks for "new", an installed sparse that says $1,
# and no package source
sparse()
{
	mkdir -p bin build/tree/scripts
	printf '#!/bin/sh\necho %s\n' "$1" >bin/sparse
	printf '#!/bin/sh\nexit 100\n' >bin/apt-get
	printf '%s\n' '#!/bin/sh' '[ "$($1)" != new ] || echo 1' >build/tree/scripts/checker-valid.sh
	chmod +x bin/*
	PATH=$PWD/bin:$PATH EVENTQ_BUILD=$PWD/build sh "$PROOF/lint/sparse.sh" >out.txt 2>err.txt
}

test_sparse_that_is_installed()
{
	sparse new
	[ "$(build/sparse/sparse)" = new ]
	sparse new
	[ ! -s out.txt ]
}

test_sparse_that_is_too_old()
{
	sparse new
	if sparse old; then return 1; fi
	[ "$(grep -c '^error: .* sparse' err.txt)" = 1 ]
	[ "$(wc -l <err.txt)" = 1 ]
}
