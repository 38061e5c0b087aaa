#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests of the harness itself, TAP on stdout: what it does with bad input and
# after an interruption. On small fake inputs only: no kernel is built and no
# guest is booted here. A test is a function test_*, run in a directory of its
# own, with a build directory of its own.
# shellcheck disable=SC2317 # the tests are called by their names
. "$(dirname "$0")/lib.sh"

tmp=$BUILD/harness-test
unset KSRC T SIGNOFF MAKEFLAGS MAKELEVEL
export LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null

# ---- what tests are made of

nl='
'

# The command must fail with exactly one error line, which has $1 in it.
fails_with()
{
	wanted=$1
	shift
	if "$@" >out.txt 2>err.txt; then
		echo "# no failure, expected: $wanted"
		return 1
	fi
	case $(grep '^error: ' err.txt) in
	*"$nl"*) ;;
	*"$wanted"*) return 0 ;;
	esac
	echo "# expected: $wanted; got:"
	sed 's/^/#   /' err.txt
	return 1
}

works()
{
	"$@" >out.txt 2>err.txt || {
		echo "# failed: $*"
		sed 's/^/#   /' err.txt
		return 1
	}
}

# $1: directory, $2: version: the least that passes for a kernel tree
fake_kernel()
{
	mkdir -p "$1/drivers/iommu/iommufd"
	printf 'VERSION = %s\nPATCHLEVEL = %s\n' "${2%.*}" "${2#*.}" >"$1/Makefile"
	seq 40 | sed 's/^/line /' >"$1/drivers/iommu/iommufd/eventq.c"
	echo 'config IOMMUFD' >"$1/drivers/iommu/iommufd/Kconfig"
	echo same >"$1/README"
}

base()
{
	KSRC=${1:-$PWD/linux} "$HARNESS/base.sh"
}

tree()
{
	python3 -B "$HARNESS/tree.py" "${1:-tree}"
}

# A base, a series of one step, and a file to add.
fake_project()
{
	fake_kernel linux 7.3
	works base
	mkdir -p series drivers/iommu/iommufd
	export EVENTQ_SERIES="$PWD/series" EVENTQ_OVERLAY="$PWD"
	echo new >drivers/iommu/iommufd/eventq.h
	step 01-first 'Add: drivers/iommu/iommufd/eventq.h' 20 </dev/null
}

# $1: name, $2: directives, $3: line of eventq.c to change (none: no diff)
step()
{
	{
		printf 'iommufd: %s\n\nWhy it is done.\n\n%s\n---\n' "$1" "$2"
		[ -z "$3" ] || printf '%s\n' '--- a/drivers/iommu/iommufd/eventq.c' \
			'+++ b/drivers/iommu/iommufd/eventq.c' "@@ -$3 +$3 @@" "-line $3" "+LINE $3"
	} >"series/$1.patch"
}

in_tree()
{
	git -C "$EVENTQ_BUILD/tree" "$@"
}

# Puts a command of ours before the system's: $1: name; its text on stdin
fake()
{
	mkdir -p fake
	{
		echo '#!/bin/sh'
		cat
	} >"fake/$1"
	chmod +x "fake/$1"
	PATH=$PWD/fake:$PATH
}

# ---- the base

test_ksrc_that_is_not_there()
{
	fails_with 'is no directory' base /nowhere
}

test_ksrc_that_is_no_kernel_tree()
{
	mkdir linux
	fails_with 'is no kernel source tree' base
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_ksrc_of_wrong_version()
{
	fake_kernel linux 6.12
	fails_with 'is Linux 6.12' base
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_ksrc_is_copied_and_left_alone()
{
	fake_kernel linux 7.3
	before=$(find linux -type f -exec stat -c '%n %y' {} + | sort)
	works base
	diff -r linux "$EVENTQ_BUILD/base"
	[ "$before" = "$(find linux -type f -exec stat -c '%n %y' {} + | sort)" ]
}

test_ksrc_in_git_comes_without_build_output()
{
	fake_kernel linux 7.3
	git init -q linux
	git -C linux add .
	touch linux/vmlinux.o
	works base
	[ -f "$EVENTQ_BUILD/base/Makefile" ]
	[ ! -e "$EVENTQ_BUILD/base/vmlinux.o" ]
}

test_changed_ksrc_is_copied_again()
{
	fake_kernel linux 7.3
	works base
	echo changed >linux/README
	works base
	[ "$(cat "$EVENTQ_BUILD/base/README")" = changed ]
}

test_interrupted_copy_recovers()
{
	fake_kernel linux 7.3
	mkdir -p "$EVENTQ_BUILD/base.new/half" "$EVENTQ_BUILD/base"
	works base
	diff -r linux "$EVENTQ_BUILD/base"
	[ ! -e "$EVENTQ_BUILD/base.new" ]
}

# An apt-get that knows one mirror, serves "pool", and fails in the ways that
# the files of this directory ask for.
fake_apt()
{
	export FAKE="$PWD"
	fake apt-get <<-'EOF'
		case "$*" in
		*--print-uris*download*) [ ! -e "$FAKE/no-package" ] ;;
		*--print-uris*) echo "'http://mirror.invalid/debian/dists/x/InRelease' x 0" ;;
		*update*) [ ! -e "$FAKE/no-network" ] || { echo 'E: no network'; exit 100; } ;;
		*download*)
			if [ -e "$FAKE/cut" ]; then
				head -c 100 "$FAKE/pool.deb" >linux-source-7.3_1_all.deb
				exit 100
			fi
			cp "$FAKE/pool.deb" linux-source-7.3_1_all.deb
			;;
		esac
	EOF
}

# A package like Debian's, with a small kernel in it.
fake_package()
{
	mkdir -p deb/DEBIAN deb/usr/src
	printf '%s\n' 'Package: linux-source-7.3' 'Version: 1' 'Architecture: all' \
		'Maintainer: none <none@localhost>' 'Description: fake' >deb/DEBIAN/control
	fake_kernel linux-source-7.3 7.3
	tar -cJf deb/usr/src/linux-source-7.3.tar.xz linux-source-7.3
	dpkg-deb -b deb pool.deb >/dev/null
}

debian()
{
	"$HARNESS/base.sh"
}

test_debian_source_is_unpacked()
{
	fake_apt
	fake_package
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

test_no_network()
{
	fake_apt
	touch no-network
	fails_with 'trixie-backports' debian
	grep -q KSRC= err.txt
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_no_such_package()
{
	fake_apt
	touch no-package
	fails_with 'no package linux-source-7.3 in Debian'"'"'s suite trixie-backports' debian
	grep -q KSRC= err.txt
}

test_cut_download_recovers()
{
	fake_apt
	fake_package
	touch cut
	fails_with 'download of linux-source-7.3 failed' debian
	[ ! -e "$EVENTQ_BUILD/dl" ]
	rm cut
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

test_damaged_package_is_fetched_again()
{
	fake_apt
	fake_package
	mkdir -p "$EVENTQ_BUILD/dl"
	head -c 300 pool.deb >"$EVENTQ_BUILD/dl/linux-source-7.3_1_all.deb"
	fails_with 'damaged' debian
	[ ! -e "$EVENTQ_BUILD/base" ]
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

# ---- the tree

# The base is packed by gitpack.py, and git must find no fault with it: files of
# every size class of a pack entry, twins, a link, an odd name.
test_base_in_git_is_sound()
{
	fake_project
	for size in 0 1 15 16 2047 2048 262144 300000; do
		head -c "$size" /dev/zero | tr '\0' 'x' >"linux/size $size"
	done
	cp linux/README linux/TWIN
	ln -s README linux/link
	chmod +x linux/README
	works base
	works tree
	works in_tree fsck --strict --no-dangling
	[ -z "$(in_tree status --porcelain)" ]
	in_tree archive refs/heads/base >base.tar
	mkdir unpacked
	tar -xf base.tar -C unpacked
	diff -r --no-dereference unpacked linux
	[ -x unpacked/README ] && [ ! -x unpacked/TWIN ] && [ -L unpacked/link ]
}

test_tree_has_one_commit_per_step()
{
	fake_project
	step 02-second 'Rename: README README.old' 30
	works tree
	[ "$(in_tree log --format=%s | paste -sd,)" = 'iommufd: 02-second,iommufd: 01-first,base' ]
	[ "$(in_tree log -1 --format=%b)" = 'Why it is done.' ]
	[ "$(in_tree show HEAD:drivers/iommu/iommufd/eventq.c | sed -n '20p;30p' | paste -sd,)" = 'LINE 20,LINE 30' ]
	[ -f "$EVENTQ_BUILD/tree/README.old" ]
	[ ! -e "$EVENTQ_BUILD/tree/README" ]
	cmp drivers/iommu/iommufd/eventq.h "$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.h"
}

test_tree_is_the_same_everywhere()
{
	fake_project
	works tree
	first=$(in_tree rev-parse HEAD)
	rm -rf "$EVENTQ_BUILD/tree"
	works tree
	[ "$first" = "$(in_tree rev-parse HEAD)" ]
}

test_tree_keeps_times_of_unchanged_files()
{
	fake_project
	works tree
	touch -d 2020-01-01 "$EVENTQ_BUILD/tree/Makefile"
	echo newer >drivers/iommu/iommufd/eventq.h
	works tree
	[ "$(date -r "$EVENTQ_BUILD/tree/Makefile" +%Y)" = 2020 ]
	cmp drivers/iommu/iommufd/eventq.h "$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.h"
}

test_diff_that_does_not_apply()
{
	fake_project
	step 02-bad '' 20
	fails_with 'series/02-bad.patch: the diff does not apply' tree
	[ ! -e "$EVENTQ_BUILD/tree" ]
	rm series/02-bad.patch
	works tree
	before=$(in_tree rev-parse HEAD)
	step 02-bad '' 20
	fails_with 'series/02-bad.patch: the diff does not apply' tree
	[ "$before" = "$(in_tree rev-parse HEAD)" ]
	[ -z "$(in_tree status --porcelain)" ]
}

test_add_of_missing_file()
{
	fake_project
	step 02-bad 'Add: drivers/iommu/iommufd/none.c' ''
	fails_with 'series/02-bad.patch: Add: there is no file drivers/iommu/iommufd/none.c' tree
}

test_rename_of_missing_file()
{
	fake_project
	step 02-bad 'Rename: none none.c' ''
	fails_with 'series/02-bad.patch: Rename: the tree has no none' tree
}

test_forgotten_overlay_file()
{
	fake_project
	touch drivers/iommu/iommufd/forgotten.c
	fails_with 'no step of series/ adds drivers/iommu/iommufd/forgotten.c' tree
}

test_hunk_without_anchor()
{
	fake_project
	step 02-bad '' ''
	printf '%s\n' '--- a/README' '+++ b/README' '@@ -1,0 +2 @@' '+anywhere' >>series/02-bad.patch
	fails_with 'needs a line of context' tree
}

test_hunk_that_fits_in_several_places()
{
	fake_kernel linux 7.3
	printf 'a\nx\nb\nx\n' >linux/README
	works base
	mkdir series
	export EVENTQ_SERIES="$PWD/series" EVENTQ_OVERLAY="$PWD"
	step 01-bad '' ''
	printf '%s\n' '--- a/README' '+++ b/README' '@@ -3 +3 @@' '-x' '+y' >>series/01-bad.patch
	fails_with 'fits in several places' tree
}

test_own_changes_in_the_tree_are_kept()
{
	fake_project
	works tree
	echo mine >"$EVENTQ_BUILD/tree/README"
	echo newer >drivers/iommu/iommufd/eventq.h
	fails_with 'build/tree has changes of its own (README)' tree
	[ "$(cat "$EVENTQ_BUILD/tree/README")" = mine ]
}

test_interrupted_update_recovers()
{
	fake_project
	works tree
	touch "$EVENTQ_BUILD/tree/.git/eventq-updating" "$EVENTQ_BUILD/tree/.git/index.lock"
	echo half >"$EVENTQ_BUILD/tree/README"
	works tree
	[ -z "$(in_tree status --porcelain)" ]
}

test_series_needs_a_cover_letter()
{
	fake_project
	works tree
	fails_with 'cover-letter.txt is missing' tree series
	[ ! -e "$EVENTQ_BUILD/series" ]
}

test_series_is_mailable()
{
	fake_project
	works tree
	printf 'iommufd: The subject\n\nThe text.\n' >series/cover-letter.txt
	works tree series
	grep -q '^Subject: \[PATCH 0/1\] iommufd: The subject$' "$EVENTQ_BUILD"/series/0000-*
	grep -q '^The text.$' "$EVENTQ_BUILD"/series/0000-*
	mkdir mine
	tar -C linux -cf - . | tar -C mine -xf -
	git init -q mine
	git -C mine -c user.name=x -c user.email=x@y add .
	git -C mine -c user.name=x -c user.email=x@y commit -qm base
	git -C mine -c user.name=x -c user.email=x@y am -q "$EVENTQ_BUILD"/series/0001-*
	[ "$(git -C mine rev-parse 'HEAD^{tree}')" = "$(in_tree rev-parse 'HEAD^{tree}')" ]
}

# ---- configuration, boot, the rest

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
		unreferenced object 0xffff8880 (size 64):
		  comm "x", pid 1
	EOF
	)
	[ "$found" = 3 ]
}


# ---- costs

# Two kernels of which each operation costs 10, but for the lines of bench.txt,
# which take the place of those; and for again.txt in a second boot.
fake_bench()
{
	for k in stock ours; do
		mkdir -p "$EVENTQ_BUILD/out/$k-bench"
		: >"$EVENTQ_BUILD/out/$k-bench/bzImage"
	done
	echo fake >"$EVENTQ_BUILD/base.from"
	sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$ROOT/bench/budgets.list" |
		awk '/-at-$/ { n = split("1 64 4096 65536", at, " ")
			for (i = 1; i <= n; i++) print "bench", $1 at[i], 10; next }
			{ print "bench", $1, /workers/ ? 0 : 10 }' >all.txt
	touch bench.txt again.txt
	fake gnuplot </dev/null
	fake qemu-system-x86_64 <<-EOF
		for a; do case \$a in file:*) log=\${a#file:} ;; esac; done
		case \$log in
		*-again.log) cat "$PWD/again.txt" ;;
		*) cat "$PWD/all.txt" "$PWD/bench.txt" ;;
		esac >"\$log"
		echo '=eventq= status 0' >>"\$log"
	EOF
}

bench()
{
	PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/bench/bench.py"
}

test_bench_within_the_budgets()
{
	fake_bench
	works bench
	grep -q '^| vIOMMU read, one event per call .* 10 .* 500 |$' "$EVENTQ_BUILD/bench.txt"
	python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["rows"]["fault-read-1"]["ours"] != [10.0])' \
		"$EVENTQ_BUILD/bench.json"
}

test_bench_over_a_budget()
{
	fake_bench
	echo 'bench viommu-read-1 501' >bench.txt
	if bench >out.txt; then return 1; fi
	grep -q '^budget missed: vIOMMU read, one event per call$' out.txt
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
	fails_with 'did not print viommu-report' "$ROOT/bench/bench.py"
}

test_bench_that_fails_in_the_guest()
{
	fake_bench
	echo 'error: world_open(&w): No such file or directory' >bench.txt
	fails_with 'world_open' "$ROOT/bench/bench.py"
}

# ---- coverage

# A kernel of four small files, of which the guest ran all but one line, which
# list.txt excuses; the guest's console is console.txt.
fake_coverage()
{
	sources=$EVENTQ_BUILD/tree/drivers/iommu/iommufd
	objects=$EVENTQ_BUILD/out/tree-gcov/drivers/iommu/iommufd
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
	: >"$EVENTQ_BUILD/out/tree-gcov/bzImage"
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
		'=eventq= ended test-sample 0' '=eventq= output send-coverage' "$1" \
		'=eventq= ended send-coverage 0' '=eventq= dmesg' '1..1' 'ok 1 kunit' \
		'=eventq= status 0' >console.txt
}

coverage()
{
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$HARNESS python3 -c 'import sys, pathlib, coverage
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

# ---- run them

tests=$(sed -n 's/^\(test_[a-z_0-9]*\)()$/\1/p' "$0")
only=${1:-}
rm -rf "$tmp"
number=0
failed=0
echo TAP version 13
# shellcheck disable=SC2086 # a list of names
set -- ${only:-$tests}
echo "1..$#"
for name; do
	number=$((number + 1))
	mkdir -p "$tmp/$name"
	# Not as a condition: there a shell would go on after a failed command.
	set +e
	(
		set -e
		cd "$tmp/$name"
		export EVENTQ_BUILD="$PWD/build"
		mkdir build
		"$name"
	)
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "ok $number ${name#test_}"
	else
		echo "not ok $number ${name#test_}"
		failed=1
	fi
done
rm -rf "$tmp"
exit "$failed"
