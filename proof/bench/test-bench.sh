# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of bench.py: the budgets, and what the guest may say.
# shellcheck disable=SC2317 # the tests are called by their names

# Two kernels of which each operation costs 10, but for the lines of bench.txt,
# which take the place of those on ours; and for again.txt in a second boot.
fake_bench()
{
	for k in stock ours; do
		mkdir -p "$EVENTQ_BUILD/out/bench-$k"
		: >"$EVENTQ_BUILD/out/bench-$k/bzImage"
	done
	echo fake >"$EVENTQ_BUILD/base.from"
	sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$PROOF/bench/budgets.list" |
		awk '/-at-$/ { n = split("1 64 4096 65536", at, " ")
			for (i = 1; i <= n; i++) print "bench", $1 at[i], 10; next }
			{ print "bench", $1, /workers/ ? 0 : 10 }' >all.txt
	touch bench.txt again.txt
	fake qemu-system-x86_64 <<-EOF
		for a; do case \$a in file:*) log=\${a#file:} ;; esac; done
		case \$log in
		*-again.log) cat "$PWD/again.txt" ;;
		*/bench-stock-*) cat "$PWD/all.txt" ;;
		*) cat "$PWD/all.txt" "$PWD/bench.txt" ;;
		esac >"\$log"
		printf '%s\n' '=eventq= status 0' >>"\$log"
	EOF
}

bench()
{
	python3 "$PROOF/bench/bench.py"
}

test_bench_within_the_budgets()
{
	fake_bench
	works bench
	grep -q '^| vIOMMU read, one event per call .* 10 .* 550 |$' "$EVENTQ_BUILD/bench.txt"
}

test_bench_over_a_budget()
{
	fake_bench
	echo 'bench viommu-read-1 551' >bench.txt
	if bench >out.txt; then return 1; fi
	grep -q '^budget missed: vIOMMU read, one event per call$' out.txt
}

test_bench_beside_stock()
{
	fake_bench
	echo 'bench fault-replace-idle-at-1 510' >bench.txt
	bench >out.txt || :
	! grep -q '^budget missed: replace of a domain without' out.txt || return 1
	echo 'bench fault-replace-idle-at-1 511' >bench.txt
	if bench >out.txt; then return 1; fi
	grep -q "^budget missed: replace of a domain without faults, beside stock's$" out.txt
}

test_bench_of_what_grows()
{
	fake_bench
	echo 'bench fault-read-at-65536 11' >bench.txt
	if bench >out.txt; then return 1; fi
	grep -q '^budget missed: fault read, with N queued$' out.txt
}

test_bench_that_never_delivers()
{
	fake_bench
	echo 'bench fault-uring-multishot never' >bench.txt
	if bench >out.txt; then return 1; fi
	grep -q '^budget missed: io_uring READ_MULTISHOT, with the trigger: fault$' out.txt
}

test_bench_that_does_not_repeat()
{
	fake_bench
	echo 'bench fault-read-1 10.2' >again.txt
	if bench >out.txt; then return 1; fi
	grep -q '^not the same in a second run: ours fault-read-1$' out.txt
}

test_bench_without_a_result()
{
	fake_bench
	sed -i '/viommu-report /d' all.txt
	fails_with 'did not print viommu-report' bench
}

test_bench_that_fails_in_the_guest()
{
	fake_bench
	echo 'error: world_open(&w): No such file or directory' >bench.txt
	fails_with 'world_open' bench
}
