# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of stress.sh and reports.py: what counts as passed, and whose a data race is.
# shellcheck disable=SC2317 # the tests are called by their names

# Scripts that do nothing, and a guest whose console is console.txt
fake_stress()
{
	copy_root
	mkdir -p "$EVENTQ_BUILD/out/log"
	for script in kernel/kernel guest/programs guest/initramfs; do
		fake_script "harness/$script.sh" </dev/null
	done
	fake_script harness/guest/boot.sh <<-'EOF'
		echo "$*" >>booted.txt
		cat console.txt >"$3"
		exit "$(cat status.txt)"
	EOF
	echo 0 >status.txt
	for kernel in debug kcsan; do
		objects=$EVENTQ_BUILD/out/$kernel/drivers/iommu/iommufd
		mkdir -p "$objects"
		echo 'int our_function(void) { return 1; }' | gcc -c -x c -o "$objects/eventq.o" -
	done
	printf '%s\n' '=eventq= output iommufd_eventq_stress' '1..1' 'ok 1 all' \
		'=eventq= output cat' 'setup_watchpoints: 12' '=eventq= dmesg' >console.txt
}

# A report of KCSAN in which two functions meet
race()
{
	printf '[    1.0] %s\n' "$(printf '=%.0s' $(seq 66))" "BUG: KCSAN: data-race in $1 / $2" \
		"write to 0x1 of 4 bytes by task 1 on cpu 0:" " $1+0x10/0x20" \
		"read to 0x1 of 4 bytes by task 2 on cpu 1:" " $2+0x10/0x20" \
		"$(printf '=%.0s' $(seq 66))" >>console.txt
}

stress()
{
	"$PROOF/stress/stress.sh" 5 "$@" >out.txt 2>err.txt
}

test_stress_that_passes()
{
	fake_stress
	stress
	grep -q 'stress on the debug kernel: passed' out.txt
	grep -q 'stress on the kcsan kernel: passed' out.txt
	[ "$(grep -c EVENTQ_STRESS_SECONDS=300 booted.txt)" = 2 ]
	! grep -q SEED booted.txt || return 1
	SEED=77 stress debug
	grep -q EVENTQ_STRESS_SEED=77 booted.txt
}

test_stress_that_fails()
{
	fake_stress
	echo 1 >status.txt
	if stress debug; then return 1; fi
	grep -q 'stress on the debug kernel: FAILED' out.txt
}

test_stress_with_a_splat()
{
	fake_stress
	echo '[    1.0] WARNING: possible recursive locking detected' >>console.txt
	if stress debug; then return 1; fi
	grep -q '1 other reports' out.txt
}

test_stress_with_a_race_of_others()
{
	fake_stress
	race their_function another_function
	stress kcsan
	grep -q 'not ours, 1 times: data-race in their_function / another_function' out.txt
}

test_stress_with_a_race_of_ours()
{
	fake_stress
	race their_function our_function.isra.0
	if stress kcsan; then return 1; fi
	grep -q '^1 data races of ours, 0 of others, 0 other reports$' out.txt
}

test_stress_with_a_race_of_an_interrupt()
{
	fake_stress
	race their_function another_function
	sed -i 's/^\(.*\) their_function+0x10\/0x20$/&\n\1 asm_common_interrupt+0x1\/0x2\n\1 our_function+0x1\/0x2/' console.txt
	grep -q ' our_function+' console.txt
	stress kcsan
	grep -q '^0 data races of ours, 1 of others, 0 other reports$' out.txt
}

test_stress_with_a_race_inside_of_a_lock()
{
	fake_stress
	race osq_lock osq_unlock
	sed -i 's/^\(.*\) osq_lock+0x10\/0x20$/&\n\1 our_function+0x1\/0x2/' console.txt
	grep -q ' our_function+' console.txt
	stress kcsan
	grep -q '^0 data races of ours, 1 of others, 0 other reports$' out.txt
	race osq_lock our_function
	if stress kcsan; then return 1; fi
}

test_stress_where_nothing_watches()
{
	fake_stress
	sed -i 's/^setup_watchpoints: 12/setup_watchpoints: 0/' console.txt
	if stress kcsan; then return 1; fi
	grep -q 'stress on the kcsan kernel: FAILED' out.txt
}

test_stress_without_our_objects()
{
	fake_stress
	rm "$EVENTQ_BUILD"/out/kcsan/drivers/iommu/iommufd/*.o
	if stress kcsan; then return 1; fi
	grep -q '^error: no drivers/iommu/iommufd/eventq' err.txt
}
