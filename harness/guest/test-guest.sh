# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of what boots and reads a guest.
# shellcheck disable=SC2317 # the tests are called by their names

fake_kernel_image()
{
	mkdir -p "$EVENTQ_BUILD/out/plain"
	touch "$EVENTQ_BUILD/out/plain/bzImage" "$EVENTQ_BUILD/out/initramfs.gz"
}

boot()
{
	"$HARNESS/guest/boot.sh" plain none log.txt "$1"
}

test_qemu_missing()
{
	fake_kernel_image
	mkdir few
	for c in sh dirname date nproc awk sed tr; do
		ln -s "$(command -v "$c")" few
	done
	fails_with 'qemu-system-x86_64 is not installed' \
		env PATH="$PWD/few" "$HARNESS/guest/boot.sh" plain none log.txt 1
}

test_guest_that_hangs()
{
	fake_kernel_image
	fake qemu-system-x86_64 <<-'EOF'
		for a; do case $a in file:*) echo 'the last words' >"${a#file:}" ;; esac; done
		exec sleep 20
	EOF
	start=$(date +%s)
	fails_with 'did not end within 1 seconds' boot 1
	[ $(($(date +%s) - start)) -lt 10 ]
	grep -q 'console: the last words' err.txt
}

test_guest_that_dies()
{
	fake_kernel_image
	fake qemu-system-x86_64 </dev/null
	fails_with 'died' boot 5
}

test_qemu_that_fails()
{
	fake_kernel_image
	fake qemu-system-x86_64 <<-'EOF'
		echo 'no such machine' >&2
		exit 1
	EOF
	fails_with 'no such machine' boot 5
}

test_status_of_the_job_is_told()
{
	fake_kernel_image
	fake qemu-system-x86_64 <<-'EOF'
		for a; do case $a in file:*) printf '=eventq= status 3\r\n' >"${a#file:}" ;; esac; done
	EOF
	status=0
	boot 5 || status=$?
	[ "$status" = 3 ]
}

# Boots until the guest in console.N, of the N-th boot, is no reason to boot again.
boots()
{
	fake_kernel_image
	fake qemu-system-x86_64 <<-EOF
		for a; do case \$a in file:*) log=\${a#file:} ;; esac; done
		echo >>"$PWD/count"
		cat "$PWD/console.\$(grep -c '' "$PWD/count")" >"\$log"
	EOF
	: >count
	python3 -c 'import boot
done = boot.Boot("plain", "none", ["none"], seconds=5)
print(*[c.verdict for c in done.whole() + done.quiet()])' >out.txt 2>err.txt
	[ "$(grep -c '' count)" = "$1" ]
}

# $1: the code where it traps, $2...: what comes before
trapped()
{
	code=$1
	shift
	printf '%s\n' "$@" '[    1.0] Oops: int3: 0000 [#1] SMP' '[    1.0] RIP: 0010:f+0x8f/0x150' \
		"[    1.0] Code: 0f 44 d0 $code 48 8b" '[    1.0] Kernel panic - not syncing'
}

test_guest_that_meets_a_stray_breakpoint()
{
	trapped '66 <90>' >console.1
	printf '%s\n' '=eventq= cpus 2' '=eventq= dmesg' '[    1.0] fine' '=eventq= status 0' >console.2
	boots 2
	grep -q '^\[.*booting again$' out.txt
	grep -qx pass out.txt
	trapped '66 <90>' '=eventq= cpus 2' '=eventq= output none' >console.1
	boots 2
	grep -qx pass out.txt
	# Twice is too much, and so is one that the kernel has in its code.
	cp console.1 console.2
	boots 2
	grep -q fail out.txt
	trapped 'cc <90>' '=eventq= cpus 2' '=eventq= output none' >console.1
	boots 1
	grep -q fail out.txt
	trapped 'cc <90>' >console.1
	trapped '66 <90>' | sed s/int3/fault/ >>console.1
	boots 1
	grep -q fail out.txt
}

# $1: what tap.py makes of stdin, as verdict name,...
parses_to()
{
	[ "$1" = "$(python3 -c 'import sys, tap
print(",".join(f"{c.verdict} {c.name}" for c in tap.parse(sys.stdin.read().splitlines())))')" ]
}

test_tap_of_a_selftest()
{
	parses_to 'pass a.b,fail a.c,skip a.d' <<-'EOF'
		1..3
		ok 1 a.b
		# x.c:3:c:Expected 1 (1) == 2 (2)
		not ok 2 a.c
		ok 3 a.d # SKIP no such thing
	EOF
}

test_tap_that_ends_early()
{
	parses_to 'pass a.b,fail (plan)' <<-'EOF'
		1..2
		ok 1 a.b
	EOF
}

test_ktap_of_two_suites()
{
	parses_to 'pass s.one,fail s.two,pass t.one' <<-'EOF'
		KTAP version 1
		1..2
		    KTAP version 1
		    # Subtest: s
		    1..2
		    ok 1 one
		    not ok 2 two
		not ok 1 s
		    KTAP version 1
		    # Subtest: t
		    1..1
		    ok 1 one
		ok 2 t
	EOF
}

test_splats_are_found()
{
	found=$(python3 -c 'import sys, tap
print(len(tap.splats(sys.stdin.read().splitlines())))' <<-'EOF'
		[    1.0] kasan: KernelAddressSanitizer initialized
		[    2.0] DEBUG: all is well
		[    3.0] FAULT_INJECTION: forcing a failure.
		[    4.0] BUG: KASAN: slab-use-after-free in x
		[    5.0] WARNING: possible recursive locking detected
		[    6.0] arm-smmu-v3 arm-smmu-v3.0.auto: EVTQ overflow detected -- events lost
		unreferenced object 0xffff8880 (size 64):
		  comm "x", pid 1
	EOF
	)
	[ "$found" = 4 ]
}
