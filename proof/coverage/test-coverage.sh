# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of coverage.py: what the guest may send, and what gcovr says of it.
# shellcheck disable=SC2317 # the tests are called by their names

# A kernel of four small files, of which the guest ran all; its console is console.txt.
fake_coverage()
{
	copy_root
	mkdir -p "$EVENTQ_BUILD/tree/tools/testing/selftests/iommu"
	: >"$EVENTQ_BUILD/tree/tools/testing/selftests/iommu/Makefile"
	sources=$EVENTQ_BUILD/tree/drivers/iommu/iommufd
	objects=$EVENTQ_BUILD/out/gcov/drivers/iommu/iommufd
	mkdir -p "$sources" "$objects"
	echo 'static inline int twice(int x) { return 2 * x; }' >"$sources/eventq.h"
	printf '%s\n' '#include "eventq.h"' 'int core(int x)' '{' '	if (x > 5)' \
		'		return twice(x);' '	return x;' '}' >"$sources/eventq.c"
	for class in iopf ring viommu; do
		{
			printf '#include "eventq.h"\nint %s(int x)\n{\n' "$class"
			seq 20 | sed 's/.*/	x += twice(x);/'
			printf '	return x;\n}\n'
		} >"$sources/eventq_$class.c"
	done
	echo 'int core(int), iopf(int), ring(int), viommu(int); int main(void) { return (core(9) + core(1) + iopf(0) + ring(0) + viommu(0)) == 0; }' >main.c
	for name in eventq eventq_iopf eventq_ring eventq_viommu; do
		gcc --coverage -c -o "$objects/$name.o" "$sources/$name.c"
	done
	: >"$EVENTQ_BUILD/out/gcov/bzImage"
	fake qemu-system-x86_64 <<-EOF
		for a; do case \$a in file:*) cp "$PWD/console.txt" "\${a#file:}" ;; esac; done
	EOF
	count
}

# What the guest counts, and prints
count()
{
	rm -f "$objects"/*.gcda
	gcc --coverage -o main main.c "$objects"/*.o
	./main 2>/dev/null
	sent "$(cd "$objects" && tar -cf - -- *.gcda | gzip | base64)"
}

# $1: what the guest prints for counters
sent()
{
	printf '%s\n' '=eventq= cpus 2' '=eventq= output test-sample' '1..1' 'ok 1 sample' \
		'=eventq= ended test-sample 0' '=eventq= output send-coverage' "$1" \
		'=eventq= ended send-coverage 0' '=eventq= dmesg' '1..1' 'ok 1 kunit' \
		'=eventq= status 0' >console.txt
}

coverage()
{
	python3 "$PROOF/coverage/coverage.py"
}

test_coverage_of_all()
{
	fake_coverage
	works coverage
	grep -q '^eventq.c  *4  *4  *100%' out.txt
	[ -s "$EVENTQ_BUILD/coverage/index.html" ]
}

test_coverage_of_less()
{
	fake_coverage
	sed -i 's/core(9) *+ *//' main.c
	count
	fails_with 'failed minimum line coverage' coverage
	grep -q '^eventq.c  *4  *3  *75%  *5$' out.txt
}

test_coverage_of_another_build()
{
	fake_coverage
	sed -i 's/x > 5/x > 5 \&\& x < 99/' "$sources/eventq.c"
	gcc --coverage -c -o "$objects/eventq.o" "$sources/eventq.c"
	rm -f "$objects"/*.gcda
	fails_with 'minimum line coverage' coverage
}

test_coverage_of_a_failed_test()
{
	fake_coverage
	sed -i 's/^ok 1 sample/not &/' console.txt
	fails_with 'a test failed: test-sample sample' coverage
}

test_coverage_without_counters()
{
	fake_coverage
	for sent in '' bm8= "$(: | tar -cf - -T - | gzip | base64)"; do
		sent "$sent"
		fails_with 'the guest sent no counters' coverage
	done
}
