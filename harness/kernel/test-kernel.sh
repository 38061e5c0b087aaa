# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of what configures and builds kernels, of run.sh before it starts, and of what
# check.py makes of its lists.
# shellcheck disable=SC2317 # the tests are called by their names

test_config_option_that_vanishes()
{
	printf 'CONFIG_A=y\nCONFIG_B=y\n' >wanted
	printf 'CONFIG_A=y\n' >made
	fails_with 'lost: CONFIG_B=y' "$HARNESS/kernel/check-config.sh" wanted made
}

test_config_option_that_comes_unwanted()
{
	printf '# a comment\n# CONFIG_B is not set\n' >wanted
	printf 'CONFIG_BB=y\n' >made
	works "$HARNESS/kernel/check-config.sh" wanted made
	printf 'CONFIG_B=m\n' >made
	fails_with 'lost: # CONFIG_B is not set' "$HARNESS/kernel/check-config.sh" wanted made
}

test_short_disk()
{
	fake df <<-'EOF'
		echo header
		echo '/dev/x 100 90 3145728 90% /'
	EOF
	fails_with 'only 3 GB free' "$HARNESS/run.sh" base
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_second_make_is_refused()
{
	mkdir -p "$EVENTQ_BUILD"
	(
		exec 8>"$EVENTQ_BUILD/lock"
		flock 8
		fails_with 'another make is at work' "$HARNESS/run.sh" clean
	)
}

test_kernel_that_is_none()
{
	fails_with 'there is no kernel none in kernels.list' "$HARNESS/kernel/kernel.sh" none
	fails_with 'i386 is no kernel to boot' "$HARNESS/kernel/kernel.sh" i386
}

test_later_fragment_wins()
{
	mkdir -p tree
	"$HARNESS/kernel/fragments.sh" tree base,module >made
	[ "$(grep -c 'CONFIG_IOMMUFD=' made)" = 1 ]
	grep -qx CONFIG_IOMMUFD=m made
	! grep -q PROC_SYSCTL made || return 1
	BASE=7.2 "$HARNESS/kernel/fragments.sh" tree base >made
	grep -qx CONFIG_PROC_SYSCTL=y made
}

test_kernels_of_other_kinds_are_not_checked_by_make_check()
{
	mkdir -p "$EVENTQ_BUILD/tree/tools/testing/selftests/iommu"
	echo 'TEST_GEN_PROGS += iommufd_eventq' >"$EVENTQ_BUILD/tree/tools/testing/selftests/iommu/Makefile"
	fails_with 'there is no test rt; there are: ' python3 "$PROOF/check.py" check rt
	grep -q ' debug:kunit ' err.txt
	fails_with 'there is no test plain; there are: rt:kunit ' python3 "$PROOF/check.py" check-kernels plain
	# Nor is a 32-bit program run where all of them are
	grep -q ' x86-32:iommufd_eventq_uapi ' err.txt
	! grep -q 'x86-32:iommufd_eventq_uapi_32' err.txt || return 1
}

test_known_failures_are_patterns()
{
	python3 - <<-'EOF'
		import check
		from tap import Case
		check.EXPECTED = __import__("pathlib").Path(".")
		open("known-failures.list", "w").write("k:p a.*.x it is so\n")
		given = [Case("a.b.x", "fail", ""), Case("a.c.x", "pass", ""), Case("a.b.y", "fail", "")]
		assert [c.verdict for c in check.excuse("k:p", given)] == ["skip", "fail", "fail"]
		assert [c.verdict for c in check.excuse("k:q", given)] == ["fail", "pass", "fail"]
	EOF
}

test_target_that_takes_no_other_base()
{
	BASE=7.2 fails_with 'make bench takes the default base only' "$HARNESS/run.sh" bench
	BASE=6.1 fails_with 'BASE=6.1' "$HARNESS/run.sh" tree
}
