# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of coverage.py: the lists, and what the guest may send.
# shellcheck disable=SC2317 # the tests are called by their names

# A kernel of four small files, of which the guest ran all but one line, which
# list.txt excuses; the guest's console is console.txt.
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
	for class in iopf viommu; do
		printf '#include "eventq.h"\nint %s(int x)\n{\n' "$class"
		seq 20 | sed 's/.*/	x += twice(x);/'
		printf '	return x;\n}\n'
	done >both.c
	sed -n '1,/^}/p' both.c >"$sources/eventq_iopf.c"
	sed '1,/^}/d' both.c >"$sources/eventq_viommu.c"
	echo 'int core(int), iopf(int), viommu(int); int main(void) { return core(1) + iopf(0) + viommu(0) - 1; }' >main.c
	for name in eventq eventq_iopf eventq_viommu; do
		gcc --coverage -c -o "$objects/$name.o" "$sources/$name.c"
	done
	gcc --coverage -o main main.c "$objects"/*.o
	./main
	: >"$EVENTQ_BUILD/out/gcov/bzImage"
	fake qemu-system-x86_64 <<-EOF
		for a; do case \$a in file:*) cp "$PWD/console.txt" "\${a#file:}" ;; esac; done
	EOF
	sent "$(cd "$objects" && tar -cf - -- *.gcda | gzip | base64)"
	printf '%s\n' '# a comment' 'eventq.c  return twice(x);  never that large' >list.txt
}

# $1: what the guest prints for counters
sent()
{
	printf '%s\n' '=eventq= cpus 2' '=eventq= output test-sample' '1..1' 'ok 1 sample' \
		'=eventq= ended test-sample 0' '=eventq= output test-demo' '1..1' 'ok 1 demo' \
		'=eventq= ended test-demo 0' '=eventq= output send-coverage' "$1" \
		'=eventq= ended send-coverage 0' '=eventq= dmesg' '1..1' 'ok 1 kunit' \
		'=eventq= status 0' >console.txt
}

coverage()
{
	python3 -c 'import sys, pathlib, coverage
coverage.LIST = pathlib.Path("list.txt")
sys.exit(coverage.main())'
}

test_coverage_with_a_reason()
{
	fake_coverage
	works coverage
	grep -q '^eventq.c:5: return twice(x);$' out.txt
	grep -q '^    never that large$' out.txt
	grep -q '^eventq.c  *lines  *3 of  *4,  75.0 %  branches  *1 of  *2,  50.0 %  functions  *1 of  *1, 100.0 %$' out.txt
	grep -q '^total  *lines  *48 of  *49,  98.0 %' out.txt
	grep -q '^eventq.c:4: 1 of 2 not taken: if (x > 5)$' "$EVENTQ_BUILD/coverage.txt"
}

test_coverage_without_a_reason()
{
	fake_coverage
	: >list.txt
	fails_with 'not covered, and not in list.txt: eventq.c:5: return twice(x);' coverage
}

test_coverage_list_is_stale()
{
	fake_coverage
	echo 'eventq.h  return 2 * x;  it is  never called' >>list.txt
	fails_with 'in list.txt, and covered or gone: eventq.h: return 2 * x;' coverage
}

test_coverage_list_without_a_reason()
{
	fake_coverage
	echo 'eventq.h  return 2 * x;' >list.txt
	fails_with 'no file, text and reason' coverage
}

test_coverage_too_low()
{
	fake_coverage
	sed -i '5,22d' "$EVENTQ_BUILD"/tree/drivers/iommu/iommufd/eventq_*.c
	for class in iopf viommu; do
		gcc --coverage -c -o "$objects/eventq_$class.o" "$sources/eventq_$class.c"
	done
	rm "$objects"/*.gcda
	gcc --coverage -o main main.c "$objects"/*.o
	./main
	sent "$(cd "$objects" && tar -cf - -- *.gcda | gzip | base64)"
	fails_with 'fewer than 95 % of the lines are covered' coverage
}

test_coverage_of_another_build()
{
	fake_coverage
	sed -i 's/x > 5/x > 5 \&\& x < 9/' "$sources/eventq.c"
	gcc --coverage -c -o "$objects/eventq.o" "$sources/eventq.c"
	fails_with 'gcov cannot read eventq.gcda' coverage
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
	sent ''
	fails_with 'the guest sent no counters' coverage
	sent 'bm8='
	fails_with 'archive of counters is damaged' coverage
	sent "$(: | tar -cf - -T - | gzip | base64)"
	fails_with 'the guest sent no counters' coverage
}
