# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of mutants.py: what it reads, what it builds, what it makes of a guest that
# fails, complains, hangs or dies, and that the sources stay as they were; the same of
# mutants_smmuv3.py. Tests of module.sh, which mutants.py builds with.
# shellcheck disable=SC2317,SC2119,SC2120 # the tests, and what they give to works, are called by their names

# Sources of four lines and two mutants of them: `broken`, which its test fails
# with, and `unseen`, with which it passes. The module is the source itself; what
# the guest does depends on the words in it.
fake_mutants()
{
	copy_root
	mkdir -p lists "$EVENTQ_BUILD/mutants"
	seq 4 | sed 's/^/line /' >"$EVENTQ_BUILD/mutants/a.c"
	cp "$EVENTQ_BUILD/mutants/a.c" before.c
	mutant broken FAIL
	mutant unseen harmless
	for script in kernel/kernel.sh guest/programs.sh guest/initramfs.sh tree/tree.py; do
		fake_script "harness/$script" </dev/null
	done
	fake_script proof/mutants/module.sh <<-'EOF'
		! grep -n '#error' "$EVENTQ_BUILD/mutants/a.c" >&2 || exit 1
		cp "$EVENTQ_BUILD/mutants/a.c" "$2"
	EOF
	fake_script harness/guest/boot.sh <<-'EOF'
		# Two of them boot at a time.
		root=$(mktemp -d "$PWD/guest.XXXXXX")
		(cd "$root" && cpio -i --quiet <"$INITRD" && guest >"$3")
	EOF
	fake guest <<-'EOF'
		printf '=eventq= cpus 2\n=eventq= output test-mutant\n'
		while read -r name ko times program case; do
			echo "mutant $name $program"
			echo "[    1.0] eventq: mutant $name" >>log
			verdict=ok
			! grep -q FAIL ".$ko" || verdict='not ok'
			if grep -q LATER ".$ko"; then
				[ ! -e ../turned ] || verdict='not ok'
				: >../turned
			fi
			if grep -q HANG ".$ko"; then cut=yes; break; fi
			! grep -q SLOW ".$ko" || { echo "# $case: Test terminated by timeout"; verdict='not ok'; }
			cost=10
			! grep -q COSTS ".$ko" || cost=99999
			echo "bench viommu-read-1 $cost"
			! grep -q THIRD ".$ko" || {
				printf '1..1\nok 1 %s\n1..1\nok 1 %s\n' "$case" "$case"
				verdict='not ok'
			}
			printf '1..1\n%s 1 %s\n' "$verdict" "$case"
			! grep -q SPLAT ".$ko" || echo '[    1.1] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2' >>log
			! grep -q DIE ".$ko" || exit 1
			echo "mutant-end $name"
			! grep -q SPLAT ".$ko" || { cut=yes; break; }
		done <cases
		printf '=eventq= ended test-mutant %s\n=eventq= dmesg\n' "${cut:+1}"
		cat log
		rm log
		echo '=eventq= status 0'
	EOF
}

# $1: name, $2: what comes into line 2, $3: more fields
mutant()
{
	printf 'mutant %s\nwhy    It must be seen\ntest   prog case.%s\n%sfile   a.c\n-line 2\n+line 2 %s\n\n' \
		"$1" "$1" "${3:+$3$nl}" "$2" >"lists/$1.mutants"
}

mutants()
{
	EVENTQ_MUTANTS=$PWD/lists python3 "$PROOF/mutants/mutants.py" "$@"
}

sources_are_as_before()
{
	cmp before.c "$EVENTQ_BUILD/mutants/a.c"
}

test_mutant_that_survives()
{
	fake_mutants
	if mutants >out.txt; then return 1; fi
	grep -q 'caught broken by prog case.broken$' out.txt
	grep -q 'NOT CAUGHT unseen by prog case.unseen: the case: pass$' out.txt
	grep -qx '1 passed, 1 failed' out.txt
	sources_are_as_before
}

test_mutants_that_are_all_caught()
{
	fake_mutants
	rm lists/unseen.mutants
	works mutants
	grep -qx '1 passed, 0 failed' out.txt
	[ -z "$(find "$EVENTQ_BUILD/out/mutants" -name '*.ko' -o -name '*.cpio')" ]
}

test_mutant_that_the_third_run_shows()
{
	fake_mutants
	rm lists/*
	mutant third THIRD 'times  3'
	works mutants
	grep -q '\] caught third by prog case.third$' out.txt
}

test_mutant_has_a_second_turn()
{
	fake_mutants
	rm lists/unseen.mutants
	mutant racy LATER
	works mutants
	grep -q 'once more at the end: racy: the case: pass' out.txt
	grep -q 'caught racy by prog case.racy in its second turn$' out.txt
	grep -qx '2 passed, 0 failed' out.txt
	[ -z "$(find "$EVENTQ_BUILD/out/mutants" -name '*.ko' -o -name '*.cpio')" ]
}

test_mutant_by_its_name()
{
	fake_mutants
	works mutants broken
	grep -qx '1 passed, 0 failed' out.txt
	fails_with 'there is no mutant B99' mutants B99
}

test_mutant_that_breaks_the_kernel_spares_the_others()
{
	fake_mutants
	mutant a-first DIE 'sign   case'
	mutants >out.txt || :
	grep -q 'NOT CAUGHT a-first by prog case.a-first: the case: pass, the guest did not go on' out.txt
	grep -q 'caught broken by' out.txt
	grep -qx '1 passed, 2 failed' out.txt
}

test_signs_of_mutants()
{
	fake_mutants
	rm lists/*
	mutant loud SPLAT 'sign   splat'
	mutant stuck HANG 'sign   timeout'
	mutant lost FAIL 'sign   splat'
	mutant quick FAIL 'sign   timeout'
	mutants >out.txt || :
	grep -q ' caught loud by prog case.loud: the case: pass, the kernel' out.txt
	grep -q 'NOT CAUGHT stuck by prog case.stuck: the case: did not end' out.txt
	grep -q 'NOT CAUGHT lost by' out.txt
	grep -q 'NOT CAUGHT quick by' out.txt
}

test_mutant_that_fits_nowhere()
{
	fake_mutants
	sed -i 's/^-line 2/-line 9/' lists/unseen.mutants
	mutants >out.txt || :
	grep -q 'NOT CAUGHT unseen.mutants:1: unseen: its lines are in a.c 0 times' out.txt
	grep -qx '1 passed, 1 failed' out.txt
	sources_are_as_before
}

test_mutants_that_the_code_has_outgrown()
{
	fake_mutants
	mkdir "$EVENTQ_BUILD/tree"
	cp before.c "$EVENTQ_BUILD/tree/a.c"
	works mutants --fit
	[ ! -s out.txt ]
	sed -i 's/^line 2/line 9/' "$EVENTQ_BUILD/tree/a.c"
	works mutants --fit
	grep -qx 'proof/mutants/broken.mutants:1: broken: its lines are in a.c 0 times' out.txt
	grep -qx 'proof/mutants/unseen.mutants:1: unseen: its lines are in a.c 0 times' out.txt
}

test_mutant_that_does_not_build()
{
	fake_mutants
	sed -i 's/harmless/#error/' lists/unseen.mutants
	mutants >out.txt || :
	grep -q 'NOT CAUGHT unseen does not build: 2:line 2 #error' out.txt
	sources_are_as_before
}

test_mutants_of_a_test_that_fails_by_itself()
{
	fake_mutants
	sed -i 's/line 4/line 4 FAIL/' "$EVENTQ_BUILD/mutants/a.c"
	cp "$EVENTQ_BUILD/mutants/a.c" before.c
	fails_with 'without a mutant:' mutants
	grep -q 'prog case.broken (plain kernel): the case: fail' err.txt
	sources_are_as_before
}

# Two mutants of the arm64 guest: the kernel is the source itself.
fake_arm64_mutants()
{
	fake_mutants
	rm lists/*
	sed -i 's/line 4/line 4 '"${1:-}"'/' "$EVENTQ_BUILD/mutants/a.c"
	cp "$EVENTQ_BUILD/mutants/a.c" before.c
	for name in broken unseen; do
		mutant "$name" FAIL "kernel smmuv3${nl}test   smmuv3 smmuv3.read.$name"
	done
	sed -i 's/FAIL/harmless/' lists/unseen.mutants
	fake_script harness/guest/prepare.sh </dev/null
	fake_script proof/mutants/image.sh <<-'EOF'
		! grep -n '#error' "$EVENTQ_BUILD/mutants/a.c" >&2 || exit 1
		cp "$EVENTQ_BUILD/mutants/a.c" "$2"
	EOF
	fake_script harness/guest/boot.sh <<-'EOF'
		verdict=ok
		! grep -q FAIL "$IMAGE" || verdict='not ok'
		{
			printf '=eventq= cpus 2\n=eventq= output test-smmuv3\n'
			echo "1..$(echo "$2" | grep -o 'broken\|unseen' | grep -c .)"
			for name in broken unseen; do
				! grep -q "LATE $name" "$IMAGE" ||
					echo "# $name: Test terminated by timeout"
				case $2 in *$name*) echo "$verdict 1 smmuv3.read.$name" ;; esac
			done
			printf '=eventq= ended test-smmuv3 0\n=eventq= dmesg\n'
			grep -o 'BUG: .*' "$IMAGE" || :
			echo '=eventq= status 0'
		} >"$3"
	EOF
}

test_mutants_of_the_arm64_guest()
{
	fake_arm64_mutants
	if mutants >out.txt; then return 1; fi
	grep -q 'caught broken by smmuv3 smmuv3.read.broken' out.txt
	grep -q 'NOT CAUGHT unseen by' out.txt
	grep -qx '1 passed, 1 failed' out.txt
	sources_are_as_before
	[ -z "$(find "$EVENTQ_BUILD/out" -name '*Image')" ]
}

# As the arm64 guest's, but for the program, and how it takes the names of cases
test_mutants_of_what_is_built_in()
{
	fake_arm64_mutants
	sed -i 's/^kernel smmuv3/kernel builtin/; s/^test   smmuv3 smmuv3.read/test   iommufd_eventq_attach attach.rid/' lists/*.mutants
	sed -i 's/test-smmuv3/iommufd_eventq_attach/; s/smmuv3.read/attach.rid/' "$ROOT/harness/guest/boot.sh"
	if mutants >out.txt; then return 1; fi
	grep -q 'caught broken by iommufd_eventq_attach attach.rid.broken' out.txt
	grep -q 'NOT CAUGHT unseen by' out.txt
	[ -z "$(find "$EVENTQ_BUILD/out" -name '*Image')" ]
}

test_mutants_that_only_the_log_of_their_kernel_shows()
{
	fake_arm64_mutants
	sed -i 's/^+line 2.*/+line 2 BUG: a splat/; s/^kernel.*/&\nsign   splat/' lists/*.mutants
	sed -i 's/BUG: a splat/harmless/' lists/unseen.mutants
	if mutants >out.txt; then return 1; fi
	grep -q 'caught broken by smmuv3 smmuv3.read.broken' out.txt
	grep -q 'NOT CAUGHT unseen by' out.txt
	sed -i '/^sign/d' lists/*.mutants
	if mutants >out.txt; then return 1; fi
	grep -q 'NOT CAUGHT broken by' out.txt
}

test_mutants_that_only_make_the_arm64_guest_slow()
{
	fake_arm64_mutants
	sed -i 's/^+line 2.*/+line 2 FAIL LATE broken/' lists/broken.mutants
	sed -i 's/harmless/#error/' lists/unseen.mutants
	if mutants >out.txt; then return 1; fi
	grep -q 'broken (smmuv3 smmuv3.read.broken): the case: timeout' out.txt
	grep -q 'NOT CAUGHT unseen does not build: .*#error' out.txt
	[ -z "$(find "$EVENTQ_BUILD/out" -name '*Image')" ]
}

test_arm64_guest_that_fails_by_itself()
{
	fake_arm64_mutants FAIL
	fails_with 'without a mutant: smmuv3.read.broken (fail), smmuv3.read.unseen (fail)' mutants
	sources_are_as_before
	fake_arm64_mutants 'BUG: a splat'
	fails_with 'without a mutant: (kernel log 1) (fail)' mutants
	fake_arm64_mutants
	fake_script harness/guest/boot.sh <<-'EOF'
		echo nothing >"$3"
		exit 1
	EOF
	fails_with 'without a mutant: ' mutants
}

test_lists_of_mutants_that_are_wrong()
{
	fake_mutants
	echo 'colour red' >>lists/unseen.mutants
	fails_with 'unseen.mutants:8: what is colour?' mutants
	mutant unseen harmless 'kernel newest'
	fails_with 'unseen: no such kernel or sign' mutants
	mutant unseen harmless
	sed -i '/^why/d' lists/unseen.mutants
	fails_with 'unseen lacks its why, test or file' mutants
	mutant unseen harmless "kernel smmuv3${nl}sign leak"
	fails_with 'unseen: in a kernel of its own it shows at once' mutants
	mutant unseen harmless "kernel builtin${nl}times 3"
	fails_with 'unseen: in a kernel of its own it shows at once' mutants
	mutant unseen harmless 'kernel smmuv3'
	fails_with 'unseen: on arm64 a case is smmuv3.x.y' mutants
	mutant unseen harmless
	cp lists/unseen.mutants lists/again.mutants
	fails_with 'there are two mutants unseen' mutants
}

test_defect_without_its_mutant()
{
	fake_mutants
	mutant A1-broken FAIL
	echo 'A1 prog case.A1-broken A1-broken # why' >lists/defects.list
	works mutants A1
	echo 'A2 prog case.x A2-none' >>lists/defects.list
	fails_with 'A2 has no mutant A2-none' mutants
	echo 'A1 prog case.other A1-broken' >lists/defects.list
	fails_with 'A1-broken is not proven by prog case.other' mutants
}

test_module_that_does_not_build()
{
	fake make <<-'EOF'
		echo 'a.c:1: error: wrong' >&2
		exit 2
	EOF
	fails_with 'the module does not build' "$PROOF/mutants/module.sh" plain a.ko
	grep -q 'a.c:1: error: wrong' err.txt
	[ ! -e a.ko ]
}

# What kbuild leaves of a module of a.o and b.o, made from what is in src
kbuilt()
{
	at=drivers/iommu/iommufd
	out=$EVENTQ_BUILD/out/mutants-plain
	mkdir -p src "$out/$at"
	printf '%s\n' "$at/a.o" "$at/b.o" >"$out/$at/iommufd.mod"
	for name in a b; do
		echo "$name" >"src/$name.c"
		cat >"$out/$at/.$name.o.cmd" <<-EOF
			savedcmd_$at/$name.o := compile $PWD/src/$name.c $at/$name.o; echo checked >>$at/$name.o
			source_$at/$name.o := $PWD/src/$name.c
			deps_$at/$name.o := \$(wildcard include/config/NONE) $PWD/src/a.h
			$at/$name.o: \$(deps_$at/$name.o)
			\$(deps_$at/$name.o):
		EOF
	done
	echo h >src/a.h
	echo "savedcmd_$at/iommufd.o := cat \$(addprefix $at/,a.o b.o) >$at/iommufd.o" >"$out/$at/.iommufd.o.cmd"
	echo "savedcmd_$at/iommufd.ko := cp $at/iommufd.o $at/iommufd.ko" >"$out/$at/.iommufd.ko.cmd"
	fake strip <<-'EOF'
		cp "$4" "$3"
	EOF
	# Another command follows, which is content with an old object.
	fake compile <<-'EOF'
		! grep '#error' "$1" >&2 || exit 1
		echo "CC ${1##*/}"
		cat "$1" "${1%/*}/a.h" >"$2"
	EOF
}

test_module_is_made_of_what_changed()
{
	kbuilt
	works "$PROOF/mutants/module.sh" plain a.ko
	touch -d '1 minute ago' src/* "$out/$at"/*
	echo changed >src/b.c
	works "$PROOF/mutants/module.sh" plain a.ko
	[ "$(cat err.txt)" = 'CC b.c' ]
	[ "$(xargs <a.ko)" = 'a h checked changed h checked' ]
	touch -d '1 minute ago' src/* "$out/$at"/*
	echo header >src/a.h
	works "$PROOF/mutants/module.sh" plain a.ko
	[ "$(xargs <a.ko)" = 'a header checked changed header checked' ]
}

test_module_of_what_does_not_compile()
{
	kbuilt
	works "$PROOF/mutants/module.sh" plain a.ko
	rm a.ko
	touch -d '1 minute ago' src/* "$out/$at"/*
	echo '#error wrong' >src/b.c
	fails_with 'the module does not build' "$PROOF/mutants/module.sh" plain a.ko
	[ ! -e a.ko ]
	echo b >src/b.c
	works "$PROOF/mutants/module.sh" plain a.ko
}

test_module_that_kbuild_did_not_make()
{
	kbuilt
	rm "$out/$at/.iommufd.ko.cmd"
	fails_with 'the module does not build' "$PROOF/mutants/module.sh" plain a.ko
	kbuilt
	echo >"$out/$at/.a.o.cmd"
	fails_with 'the module does not build' "$PROOF/mutants/module.sh" plain a.ko
	grep -q "kbuild never made $at/a.o" err.txt
	[ ! -e a.ko ]
}

test_mutant_whose_test_is_only_slow()
{
	fake_mutants
	rm lists/*
	mutant slow SLOW
	mutant late SLOW 'sign   timeout'
	mutants >out.txt || :
	grep -q 'NOT CAUGHT slow by prog case.slow: the case: timeout' out.txt
	grep -q ' caught late by prog case.late: the case: timeout' out.txt
}

test_mutant_that_must_be_alone()
{
	fake_mutants
	mutant unseen 'DIE FAIL' 'alone  it damages memory'
	works mutants
	grep -qx '2 passed, 0 failed' out.txt
}

test_mutant_that_a_budget_shows()
{
	fake_mutants
	rm lists/*
	mutant dear COSTS
	sed -i 's/^test .*/test   bench viommu-read-1/' lists/dear.mutants
	works mutants
	grep -q 'caught dear by bench viommu-read-1' out.txt
	mutant cheap harmless
	sed -i 's/^test .*/test   bench viommu-read-1/' lists/cheap.mutants
	mutants >out.txt || :
	grep -q 'NOT CAUGHT cheap by bench viommu-read-1: the case: pass' out.txt
}
