# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of what configures, boots and reads a guest, and of what a user's machine
# may lack.
# shellcheck disable=SC2317 # the tests are called by their names

test_config_option_that_vanishes()
{
	printf 'CONFIG_A=y\nCONFIG_B=y\n' >wanted
	printf 'CONFIG_A=y\n' >made
	fails_with 'lost: CONFIG_B=y' "$HARNESS/check-config.sh" wanted made
}

test_config_option_that_comes_unwanted()
{
	printf '# a comment\n# CONFIG_B is not set\n' >wanted
	printf 'CONFIG_BB=y\n' >made
	works "$HARNESS/check-config.sh" wanted made
	printf 'CONFIG_B=m\n' >made
	fails_with 'lost: # CONFIG_B is not set' "$HARNESS/check-config.sh" wanted made
}

fake_kernel_image()
{
	mkdir -p "$EVENTQ_BUILD/out/tree-plain"
	touch "$EVENTQ_BUILD/out/tree-plain/bzImage" "$EVENTQ_BUILD/out/tree-initramfs.gz"
}

boot()
{
	"$HARNESS/boot.sh" tree plain none log.txt "$1"
}

test_qemu_missing()
{
	fake_kernel_image
	mkdir few
	for c in sh dirname date nproc; do
		ln -s "$(command -v "$c")" few
	done
	fails_with 'qemu-system-x86_64 is not installed' \
		env PATH="$PWD/few" "$HARNESS/boot.sh" tree plain none log.txt 1
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
	env PYTHONPATH="$HARNESS" python3 -B -c 'import boot
done = boot.Boot("tree", "plain", "none", ["none"], seconds=5)
print(*[c.verdict for c in done.whole() + done.quiet()])' >out.txt 2>err.txt
	[ "$(grep -c '' count)" = "$1" ]
}

test_guest_that_meets_a_stray_breakpoint()
{
	printf '%s\n' '[    1.0] Oops: int3: 0000 [#1] SMP' >console.1
	printf '%s\n' '=eventq= cpus 2' '=eventq= dmesg' '[    1.0] fine' '=eventq= status 0' >console.2
	boots 2
	grep -q '^\[.*booting again$' out.txt
	grep -qx pass out.txt
	# Twice is too much, and so is one that a test could have caused.
	cp console.1 console.2
	boots 2
	grep -q fail out.txt
	printf '%s\n' '=eventq= cpus 2' '=eventq= output none' '[    1.0] Oops: int3: 0000 [#1] SMP' >console.1
	boots 1
	grep -q fail out.txt
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

test_debian_packages_that_cannot_be_installed()
{
	fake dpkg-query </dev/null
	fake id <<-'EOF'
		echo 1000
	EOF
	fake sudo <<-'EOF'
		exit 1
	EOF
	fails_with 'apt-get update failed' "$HARNESS/setup.sh"
}

test_no_package_of_the_user_is_removed()
{
	fake dpkg-query </dev/null
	fake id <<-'EOF'
		echo 0
	EOF
	fake apt-get <<-'EOF'
		case "$*" in
		*install*) case " $* " in *' --no-remove '*) ;; *) exit 1 ;; esac ;;
		esac
	EOF
	works "$HARNESS/setup.sh"
	! grep -q multilib out.txt || return 1
}

# $1: what tap.py makes of stdin, as verdict name,...
parses_to()
{
	[ "$1" = "$(PYTHONPATH=$HARNESS python3 -B -c 'import sys, tap
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
	found=$(PYTHONPATH=$HARNESS python3 -B -c 'import sys, tap
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
