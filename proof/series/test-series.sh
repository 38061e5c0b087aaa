# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of series.py and of what it calls: which commits it takes, what it finds
# wrong, what it builds; the mails.
# shellcheck disable=SC2317,SC2119,SC2120 # the tests, and what they give to works, are called by their names

# A base of which eventq.c has a warning, two steps on it, and a harness that
# compiles by looking for the word WARN, if the source is newer than the object,
# and boots by looking for the word HANG. What it did is in calls.txt.
fake_series()
{
	fake_kernel linux 7.3
	mkdir -p fake
	echo '# nothing' >linux/warn.c
	fake_project
	echo 'WARN here' >>linux/drivers/iommu/iommufd/eventq.c
	works base
	step 02-second '' 30
	fake_scripts
	works tree
	works mails
}

fake_scripts()
{
	copy_root
	for script in harness/base/setup proof/lint/sparse; do
		fake_script "$script.sh" </dev/null
	done
	export CALLS="$PWD/calls.txt"
	for name in x86-test x86-noiopf x86-module i386 arm64; do
		echo "$name drivers/iommu/iommufd/eventq.c: warning: WARN here"
	done >"$PROOF/series/known-warnings.list"
	fake_script proof/series/commit-objects.sh <<-'EOF'
		source=$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c
		object=$EVENTQ_BUILD/out/$1/drivers/iommu/eventq.o
		echo "$1 $(git -C "$EVENTQ_BUILD/tree" log -1 --format=%s)" >>"$CALLS"
		[ ! -e "$CALLS.$1" ] || exit 3
		mkdir -p "${object%/*}"
		log=${object%/drivers*}/build.log
		[ -e "$object" ] && [ ! "$source" -nt "$object" ] || grep -n WARN "$source" | sed "s,^\([0-9]*\):,$source:\1:9: warning: ," >>"$log"
		touch "$object" "$log"
		[ ! -e "$CALLS.kill" ] || kill -9 $PPID
		! grep ERROR "$source"
	EOF
	cat >"$PROOF/check.py" <<-'EOF'
		import os, sys
		tree = os.environ["EVENTQ_BUILD"] + "/tree"
		open(os.environ["CALLS"], "a").write("boot\n")
		open(os.environ["CALLS"] + ".boots", "a").write(" ".join(sys.argv[1:]) + "\n")
		hang = "HANG" in open(tree + "/drivers/iommu/iommufd/eventq.c").read()
		print("[   1 s] plain:iommufd ...\n  FAIL plain:iommufd (boot): it hangs" if hang else "")
		sys.exit(hang)
	EOF
}

mails()
{
	printf 'iommufd: The subject\n\nThe text.\n' >series/cover-letter.txt
	tree series
}

check_series()
{
	python3 "$PROOF/series/series.py" "$@"
}

# After an edit of step $1, with directives $2 and line $3 of eventq.c
edited()
{
	step "$@"
	works tree
	works mails
	: >calls.txt
}

test_series_of_bad_commit()
{
	fake_series
	fails_with 'C=x is no number of a commit' check_series x
	fails_with 'C=-1 is no number of a commit' check_series -1
	fails_with 'there is no commit 99, the series has 1 to 2' check_series 99
	fails_with 'there is no commit 0, the series has 1 to 2' check_series 0
	[ ! -e "$EVENTQ_BUILD/out" ]
}

test_series_without_a_tree()
{
	fake_scripts
	fails_with 'there is no build/tree' check_series
	[ ! -e "$EVENTQ_BUILD/out" ]
}

test_series_that_is_good()
{
	fake_series
	works check_series
	[ "$(tail -n 1 out.txt)" = '15 passed, 0 failed' ]
	[ "$(grep -c '^boot$' calls.txt)" = 2 ]
	# each step, in each configuration
	[ "$(grep -c '^arm64 ' calls.txt)" = 2 ]
}

test_series_runs_the_tests_that_a_commit_changes()
{
	fake_series
	at=tools/testing/selftests/iommu
	mkdir -p "$at"
	touch "$at/iommufd_eventq_a.c" "$at/iommufd_eventq_a.h" "$at/iommufd_eventq_b.c"
	step 03-third "$(printf 'Add: %s\n' "$at/iommufd_eventq_a.c" "$at/iommufd_eventq_a.h")" '' </dev/null
	step 04-fourth "Add: $at/iommufd_eventq_b.c" '' </dev/null
	works tree
	works mails
	works check_series
	[ "$(paste -sd, calls.txt.boots)" = 'commit,commit,commit iommufd_eventq_a,commit iommufd_eventq_b' ]
}

test_series_of_one_commit()
{
	fake_series
	works check_series 2
	[ "$(tail -n 1 out.txt)" = '7 passed, 0 failed' ]
	! grep -q 'first' calls.txt || return 1
	works check_series 2-
	[ "$(tail -n 1 out.txt)" = '8 passed, 0 failed' ]
	works check_series 1-
	[ "$(tail -n 1 out.txt)" = '15 passed, 0 failed' ]
}

test_series_killed_keeps_what_the_compiler_said()
{
	fake_series
	sed -i 's/LINE 30/WARN 30/' series/02-second.patch
	works tree
	works mails
	works check_series 1
	touch calls.txt.kill
	if check_series 2 >out.txt 2>&1; then return 1; fi
	rm calls.txt.kill
	if check_series 2 >out.txt; then return 1; fi
	grep -q '02 x86-test: FAILED' out.txt
	# once repaired it passes
	edited 02-second '' 30
	works check_series 2
}

test_series_with_a_step_that_builds_nothing_new()
{
	fake_series
	mkdir -p Documentation
	echo text >Documentation/new.rst
	edited 03-third 'Add: Documentation/new.rst' ''
	works check_series
	! grep -q third calls.txt || return 1
	grep -qx 'boot' calls.txt
	[ "$(tail -n 1 out.txt)" = '16 passed, 0 failed' ]
}

test_series_with_a_new_warning()
{
	fake_series
	edited 02-second '' 30
	sed -i 's/LINE 30/WARN 30/' series/02-second.patch
	works tree
	works mails
	if check_series 2 >out.txt; then return 1; fi
	grep -q '02 i386: FAILED' out.txt
	grep -q '^    new (not in known-warnings.list): drivers/iommu/iommufd/eventq.c: warning: WARN 30$' out.txt
	! grep -q 'WARN here' out.txt || return 1
	# nor is it forgotten because the object is there now
	if check_series 2 >out.txt; then return 1; fi
	grep -q '^    new (not in known-warnings.list): drivers/iommu/iommufd/eventq.c: warning: WARN 30$' out.txt
	[ "$(tail -n 1 out.txt)" = '2 passed, 5 failed' ]
}

test_series_with_a_warning_that_another_configuration_has()
{
	fake_series
	sed -i '/^i386 /d' "$PROOF/series/known-warnings.list"
	if check_series 1 >out.txt; then return 1; fi
	grep -q '^    new (not in known-warnings.list): .*: warning: WARN here$' out.txt
	[ "$(tail -n 1 out.txt)" = '6 passed, 1 failed' ]
}

test_series_with_a_step_that_does_not_build()
{
	fake_series
	sed -i 's/LINE 30/ERROR 30/' series/02-second.patch
	works tree
	works mails
	if check_series >out.txt; then return 1; fi
	grep -q '02 x86-module: FAILED' out.txt
	grep -q '^    ERROR 30$' out.txt
	[ "$(tail -n 1 out.txt)" = '10 passed, 5 failed' ]
}

test_series_with_a_step_that_hangs()
{
	fake_series
	sed -i 's/LINE 30/HANG 30/' series/02-second.patch
	works tree
	works mails
	if check_series >out.txt; then return 1; fi
	grep -q '02 boot: FAILED' out.txt
	grep -q 'FAIL plain:iommufd (boot): it hangs' out.txt
	[ "$(tail -n 1 out.txt)" = '14 passed, 1 failed' ]
}

test_series_with_a_large_step()
{
	fake_series
	mkdir -p samples tools/testing
	seq 1000 >samples/large.c
	seq 1000 >tools/testing/large.c
	step 03-third 'Add: samples/large.c' ''
	edited 04-fourth 'Add: tools/testing/large.c' ''
	if check_series >out.txt; then return 1; fi
	grep -q '^    adds 1000 lines, more than' out.txt
	[ "$(tail -n 2 out.txt | head -n 1)" = '  03 size' ]
}

# ---- one configuration

# A make that makes the objects of made.txt, and says so, and what is in says.txt.
fake_make()
{
	mkdir -p "$EVENTQ_BUILD/tree/drivers/iommu/iommufd"
	echo "$1" >"$EVENTQ_BUILD/tree/drivers/iommu/iommufd/Kconfig"
	printf '%s\n' iommufd/main iommufd/driver ../vfio/iommufd ../vfio/pci/vfio_pci_core >made.txt
	touch says.txt
	fake make <<-'EOF'
		for word; do
			case $word in
			O=*) out=${word#O=} ;;
			KCONFIG_ALLCONFIG=*) cp "${word#*=}" "$out/.config" && exit ;;
			esac
		done
		mkdir -p "$out/drivers/iommu/iommufd" "$out/drivers/vfio/pci"
		while read -r name; do
			: >"$out/drivers/iommu/$name.o"
			echo "  CC      drivers/iommu/$name.o"
			[ -e blind ] || echo "  CHECK   /tree/drivers/iommu/$name.c"
		done <made.txt
		cat says.txt
		[ ! -s says.txt ]
	EOF
}

objects()
{
	"$PROOF/series/commit-objects.sh" x86-noiopf
}

test_commit_that_builds()
{
	fake_make ''
	works objects
}

test_commit_that_does_not_build()
{
	fake_make ''
	echo 'a.c:3:1: error: no such thing' >says.txt
	fails_with 'it does not build, see' objects
	grep -q '^a.c:3:1: error: no such thing$' err.txt
}

test_commit_that_leaves_an_object_out()
{
	fake_make ''
	sed -i /vfio_pci/d made.txt
	fails_with 'no ../vfio/pci/vfio_pci_core.o was built' objects
}

test_commit_that_sparse_does_not_see()
{
	fake_make ''
	touch blind
	fails_with 'sparse did not see drivers/iommu/iommufd/main.c' objects
}

fragments()
{
	"$HARNESS/kernel/fragments.sh" "$EVENTQ_BUILD/tree" 'commit,ours?'
}

test_options_come_with_their_commit()
{
	fake_make 'config IOMMUFD'
	works fragments
	! grep -q EVENTQ_KUNIT out.txt || return 1
	fake_make 'config IOMMUFD_EVENTQ_KUNIT_TEST'
	works fragments
	grep -qx CONFIG_IOMMUFD_EVENTQ_KUNIT_TEST=y out.txt
	fails_with 'there is no fragment none.config' "$HARNESS/kernel/fragments.sh" "$EVENTQ_BUILD/tree" base,none
}

# ---- the mails

check_mails()
{
	"$PROOF/series/check-mails.sh"
}

test_mails_that_apply()
{
	fake_series
	works check_mails
	[ ! -e "$EVENTQ_BUILD/out/series-mails" ]
}

test_no_mails()
{
	fake_series
	rm -r "$EVENTQ_BUILD/series"
	fails_with 'there are no mails in build/series' check_mails
}

test_mails_that_do_not_apply()
{
	fake_series
	sed -i 's/^-line 30/-line 31/' "$EVENTQ_BUILD"/series/0002-*
	fails_with 'the mails do not apply to the base' check_mails
}

test_mails_that_make_something_else()
{
	fake_series
	sed -i 's/^+LINE 30/+LINE 31/' "$EVENTQ_BUILD"/series/0002-*
	fails_with 'other trees than build/tree has: iommufd: 02-second' check_mails
}
