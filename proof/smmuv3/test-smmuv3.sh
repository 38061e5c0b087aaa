# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of smmuv3.py: which tree is meant, how stock and ours are compared, and what
# becomes of the units when nothing can be built; of iort.py.
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
	fake_script proof/smmuv3/smmuv3.sh <<-'EOF'
		echo tried >>tried.txt
		echo "error: no compiler" >&2
		exit 1
	EOF
	python3 - >out.txt 2>err.txt <<-'EOF'
		import boot
		import smmuv3
		for unit in smmuv3.units().values():
		    try:
		        unit()
		    except boot.BuildFailed as problem:
		        print(problem)
	EOF
	[ "$(grep -c 'no compiler' out.txt)" = 2 ]
	[ "$(grep -c . tried.txt)" = 1 ]
}

# A table in base64: an ITS group, two root complexes; $1: what to do to it, Python
iort()
{
	python3 - "$1" <<-'EOF'
		import base64, struct, sys
		def node(kind, length):
		    return struct.pack("<BHBIII", kind, length, 1, 0, 0, 0).ljust(length, b"\0")
		nodes = node(0, 24) + node(2, 36) + node(2, 40)
		t = bytearray(b"IORT" + struct.pack("<IBB6s8sI4sIIII", 48 + len(nodes), 3, 0, b"QEMU", b"TABLE", 4, b"ID", 1,
		                                   3, 48, 0) + nodes)
		t[48 + 24 + 23] = 1
		exec(sys.argv[1])
		t[9] = (t[9] - sum(t)) % 256
		exec(sys.argv[1] if "SUM" in sys.argv[1] else "")
		print(base64.encodebytes(bytes(t)).decode())
	EOF
}

damaged()
{
	iort "$1" >table
	fails_with 'the firmware'\''s IORT cannot be used' python3 "$PROOF/smmuv3/iort.py" <table
}

test_iort_becomes_coherent()
{
	iort pass | python3 "$PROOF/smmuv3/iort.py" >new
	python3 - <<-'EOF'
		t = open("new", "rb").read()
		assert sum(t) % 256 == 0
		assert t[24] == 5, "the OEM revision"
		assert t[48 + 23] != 7 and t[72 + 23] == 7 and t[108 + 23] == 7
	EOF
}

test_iort_that_is_damaged()
{
	damaged 't[0] = 0' && damaged 't.append(0)' && damaged 'del t[40:]' &&
		damaged 't[9] ^= 1 # SUM' &&
		damaged 't[36] = 4' && damaged 't[49] = 3' && damaged 't[49] = 200' &&
		damaged 't[40] = 255' && damaged 't[48 + 24] = t[48 + 60] = 1' || return
	echo 'no base64!' >table
	fails_with 'IORT cannot be used' python3 "$PROOF/smmuv3/iort.py" <table
}
