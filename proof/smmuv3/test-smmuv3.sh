# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of smmuv3.py: which tree is meant, how stock and ours are compared; what becomes
# of the units in check.py when nothing can be built.
# shellcheck disable=SC2317 # the tests are called by their names

test_tree_that_is_none()
{
	mkdir -p "$EVENTQ_BUILD/tree/tools/testing/selftests/iommu"
	fails_with 'TREE=build/other: there is build/tree' \
		python3 "$PROOF/check.py" smmuv3 build/other
}

# $1: what the case was on stock, $2: on ours
smmuv3_compares()
{
	python3 - "$@" <<-'EOF'
		import sys
		import smmuv3
		from tap import Case
		smmuv3.cases_of = lambda kernel: {
		    "same": Case("same", "pass", ""),
		    "x.read": Case("x.read", sys.argv[1 if kernel == "stock-smmuv3" else 2], "why\nelse")}
		sys.exit(smmuv3.compare())
	EOF
}

test_smmuv3_cases_that_differ()
{
	smmuv3_compares fail pass >out.txt
	grep -q '2 cases on ours, 2 on the stock kernel; 1 differ' out.txt
	grep -q '^  x.read: stock: fail (why), ours: pass$' out.txt
	smmuv3_compares pass pass >out.txt
	grep -q ' 0 differ' out.txt
	if smmuv3_compares fail fail >out.txt; then return 1; fi
}

test_smmuv3_that_cannot_be_built()
{
	copy_root
	fake_script harness/guest/prepare.sh <<-'EOF'
		echo "$1" >>tried.txt
		echo "error: no compiler" >&2
		exit 1
	EOF
	mkdir -p "$EVENTQ_BUILD/tree/tools/testing/selftests/iommu"
	: >"$EVENTQ_BUILD/tree/tools/testing/selftests/iommu/Makefile"
	if python3 "$PROOF/check.py" smmuv3 >out.txt 2>err.txt; then return 1; fi
	[ "$(tail -n 1 out.txt)" = '0 passed, 2 failed' ]
	[ "$(grep -c 'FAIL smmuv3.*:test-smmuv3 (build): error: no compiler' out.txt)" = 2 ]
	[ "$(paste -sd, tried.txt)" = smmuv3,smmuv3-debug ]
}
