#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Static checks of all that the series touches and of the harness: TAP on stdout,
# what is done on stderr. A check is a function check_*; it prints its findings,
# a line each, and findings.py compares them with lint.list.
# usage: lint.sh [check without check_]...
# shellcheck disable=SC2317 # the checks are called by their names
. "$(dirname "$0")/../../harness/lib.sh"

tree=$BUILD/tree
out=$OUT/lint
kernel=$out/kernel
cocci=$PROOF/lint/cocci
macros=$cocci/macros.h
# Debian's modules for Python are those of Debian's Python.
PATH=/usr/bin:/bin:$PATH
export LC_ALL=C
# The repository of build/tree lacks what checkpatch looks up in the kernel's: licences
# and commits. check_spdx has the former.
export GIT_DIR=none

in_tree()
{
	git -C "$tree" --git-dir="$tree/.git" "$@"
}

# The files of this repository, by patterns
ours()
{
	git -C "$ROOT" --git-dir="$ROOT/.git" ls-files "$@"
}

# The files of the series, of one kind; $1: git's --diff-filter, then patterns
files()
{
	filter=$1
	shift
	in_tree diff --no-renames --name-only --diff-filter="$filter" base series -- "$@"
}

# Paths as they are in the tree, and nothing of a tool that is not a finding
relative()
{
	sed -e "s,$tree/,,g" -e "s,$ROOT/,,g" -e 's,^\./,,'
}

# ---- compilers

# sparse, and gcc with W=1. Only what is about to be checked is built anew.
check_sparse()
{
	mkdir -p "$kernel"
	"$HARNESS/kernel/fragments.sh" "$tree" "$(kernel_field plain 5)" >"$kernel/wanted.config"
	log=$out/sparse.log
	if ! "$PROOF/lint/sparse.sh" >"$log" 2>&1; then
		echo "proof/lint/sparse.sh:0: $(tail -n 1 "$log")"
		return
	fi
	if ! kmake "$tree" "$kernel" -s allnoconfig KCONFIG_ALLCONFIG="$kernel/wanted.config" >"$log" 2>&1 ||
		! "$HARNESS/kernel/check-config.sh" "$kernel/wanted.config" "$kernel/.config" >>"$log" 2>&1; then
		echo "harness/kernel/config:0: configuring failed: $(tail -n 1 "$log")"
		return
	fi
	rm -f "$kernel"/drivers/iommu/iommufd/*.o
	kmake "$tree" "$kernel" -j"$JOBS" C=2 W=1 CHECK="$BUILD/sparse/sparse" drivers/iommu/iommufd/ >"$log" 2>&1 ||
		echo "drivers/iommu/iommufd:0: does not build, see $log"
	grep -E '(warning|error):|too old' "$log" | relative
	for file in $(files ACM 'drivers/iommu/iommufd/*.c'); do
		grep -q "CHECK  \(.*[ /]\)$file\$" "$log" || echo "$file:0: sparse did not see it"
	done
}

# ---- style

# Terse findings of checkpatch begin with the path; of a patch with that in it.
checkpatch()
{
	(cd "$tree" && perl scripts/checkpatch.pl --strict --terse --show-types --no-summary "$@" 2>&1) |
		grep -vE '^(total:|$)' || :
}

# The messages, and what changes in files of upstream's; check_checkpatch has the
# new ones, whole.
check_commits()
{
	# shellcheck disable=SC2046 # names without blanks
	set -- $(files M)
	for commit in $(in_tree rev-list --reverse base..series); do
		patch=$out/$(in_tree log -1 --format=%f "$commit").patch
		in_tree format-patch -q --stdout -1 "$commit" -- "$@" >"$patch"
		[ -s "$patch" ] || in_tree log -1 --format='From %H Mon Sep 17 00:00:00 2001%nFrom: %an <%ae>%nDate: %ad%nSubject: [PATCH] %B---' "$commit" >"$patch"
		# FILE:LINE: where there is one, else the patch and its line.
		checkpatch --no-tree "$patch" | sed "s,^$out/,,"
	done
}

check_checkpatch()
{
	files A '*.c' '*.h' '*.rst' '*Makefile*' >"$out/checkpatch.files"
	(cd "$tree" && xargs -P "$JOBS" -n 4 perl scripts/checkpatch.pl --strict --terse --show-types \
		--no-summary -f <"$out/checkpatch.files" 2>&1) | grep -vE '^(total:|$)' || :
	(cd "$ROOT" && ours 'proof/*.[ch]' | grep -v /cocci/ |
		xargs -P "$JOBS" -n 4 perl "$tree/scripts/checkpatch.pl" --no-tree --strict --terse \
			--show-types --no-summary -f 2>&1) | grep -vE '^(total:|$)' || :
}

# Each new file names a licence that the kernel knows.
check_spdx()
{
	cd "$tree"
	cat LICENSES/*/* | sed -n 's/^Valid-License-Identifier: //p' >"$out/licences"
	files A '*.c' '*.h' | while IFS= read -r file; do
		head -n 1 "$file" | sed -n 's,.*SPDX-License-Identifier: \([^ ]*\).*,\1,p' | grep -qxFf "$out/licences" ||
			echo "$file:1: names no licence of LICENSES/"
	done
}

# What the base has to say of a file is not ours, wherever it stands now.
# $1: the tree, then files, of which it may lack some
kernel_doc()
{
	cd "$1"
	shift
	# shellcheck disable=SC2011 # the names of the series are plain
	ls "$@" 2>/dev/null | xargs python3 "$tree/tools/docs/kernel-doc" -none -Wall 2>&1 |
		sed -n 's/^\(Warning\|Error\): //p'
}

check_kernel_doc()
{
	# shellcheck disable=SC2046 # names without blanks
	set -- $(files ACM 'drivers/*.[ch]' 'include/*.h' 'samples/*.[ch]')
	(kernel_doc "$BUILD/base" "$@") | sed 's/:[0-9]* /: /' | sort -u >"$out/kernel-doc.base"
	(kernel_doc "$tree" "$@") | while IFS= read -r line; do
		echo "$line" | sed 's/:[0-9]* /: /' | grep -qxFf "$out/kernel-doc.base" || echo "$line"
	done
}

# ---- semantic patches

# What spatch is run on
our_cocci_files()
{
	(cd "$tree" && ls drivers/iommu/iommufd/eventq*.[ch])
	files M 'drivers/iommu/iommufd/*.c' | grep -v selftest
}

kernel_cocci_files()
{
	files ACM 'drivers/*.c' 'drivers/*.h'
}

# What it does not understand it skips with all of its function, and is silent.
# $1: the tree, then files, of which it may lack some
bad_lines()
{
	cd "$1"
	shift
	for file; do
		[ -f "$file" ] || continue
		timeout 120 spatch --macro-file "$macros" --no-includes --parse-c "$file" >"$out/parse" 2>&1 || :
		grep -q 'nb good = .*nb bad = ' "$out/parse" || echo "$file:0: spatch cannot read it at all"
		sed -n "s,[[:space:]]*\\\\\$,,; s,^BAD:!*[[:space:]]*,$file:0: spatch skips the function of: ,p" "$out/parse"
	done
}

# What it skips of the base's, too, is not ours; but the base has an eventq.c of
# its own.
check_parse()
{
	# shellcheck disable=SC2046 # names without blanks
	set -- $( (our_cocci_files; kernel_cocci_files) | sort -u)
	(bad_lines "$BUILD/base" "$@") | grep -v '^[^:]*/eventq' >"$out/parse.base"
	(bad_lines "$tree" "$@") | grep -vxFf "$out/parse.base" || :
	(bad_lines "$ROOT" proof/lint/cocci/*.c)
}

# $1: rule, then files. With the options that the rule wants, as coccicheck does.
spatch_report()
{
	rule=$1
	shift
	# shellcheck disable=SC2046 # words
	timeout 120 spatch -D report --no-show-diff --very-quiet --macro-file "$macros" --cocci-file "$rule" \
		$(sed -n 's,^// Options: *,,p' "$rule") -I "$tree/include" -I "$tree/drivers/iommu" "$@" 2>&1 ||
		echo "$rule:0: spatch failed"
}

# Each rule reports the lines of its bad file that say "flag", none of its good.
check_rules()
{
	for rule in "$cocci"/*.cocci; do
		name=$(basename "$rule" .cocci)
		bad=$cocci/$name.bad.c
		good=$cocci/$name.good.c
		spatch_report "$rule" "$bad" >"$out/found"
		sed 's/^[^:]*:\([0-9]*\):.*/\1/' "$out/found" | sort -u >"$out/lines"
		grep -n '/\* flag \*/' "$bad" | cut -d: -f1 | sort -u | comm -3 - "$out/lines" |
			sed 's/^\t\(.*\)/\1: is reported and should not be/; t; s/$/: is not reported/' |
			sed "s,^,proof/lint/cocci/$name.bad.c:,"
		spatch_report "$rule" "$good" | relative
	done
}

check_our_cocci()
{
	# shellcheck disable=SC2046 # names without blanks
	set -- $(our_cocci_files)
	cd "$tree"
	for rule in "$cocci"/*.cocci; do
		spatch_report "$rule" "$@" | relative
	done
}

# Not the rules that need an OCaml compiler: each is for one driver's tables.
check_kernel_cocci()
{
	cd "$tree"
	grep -rlZ --include='*.cocci' 'virtual[[:space:]]\+report' scripts/coccinelle |
		xargs -0 grep -L 'script:ocaml\|initialize:ocaml' | sort >"$out/rules"
	[ "$(wc -l <"$out/rules")" -ge 40 ] || echo "scripts/coccinelle:0: too few rules were found"
	kernel_cocci_files >"$out/kernel_cocci.files"
	export tree out macros
	# Its stderr warns of words in the rules; check_parse has what it skips.
	# shellcheck disable=SC2016 # the inner shell expands
	xargs -P "$JOBS" -n 1 sh -c '
		rule=$1
		timeout 150 spatch -D report --no-show-diff --very-quiet --macro-file "$macros" --cocci-file "$rule" \
			$(sed -n "s,^// Options: *,,p" "$rule") -I include -I drivers/iommu \
			$(cat "$out/kernel_cocci.files") 2>>"$out/spatch.err" || echo "$rule:0: spatch failed or took too long"
	' sh <"$out/rules" | relative | grep -v '^$' || :
}

# ---- the rest

# Not the selftests: kselftest_harness.h takes it minutes, and it believes that
# ASSERT_* goes on.
check_cppcheck()
{
	cd "$tree"
	# shellcheck disable=SC2046 # names without blanks
	cppcheck --enable=warning,performance -q -j"$JOBS" -I samples/iommufd \
		--template='{file}:{line}: {severity}: {id}: {message}' \
		$(files A 'drivers/*.c' 'samples/*.c') 2>&1
}

check_shellcheck()
{
	cd "$ROOT"
	# shellcheck disable=SC2046 # names without blanks
	shellcheck -f gcc $(ours "*.sh" .ci/run harness/guest/init harness/guest/send-iort "proof/*/guest/*") || :
}

check_python()
{
	cd "$ROOT"
	# shellcheck disable=SC2046 # names without blanks
	pyflakes3 $(ours "*.py") 2>&1
}

# Its lines went away with an edit: make mutants would tell, half an hour later.
check_mutants()
{
	python3 "$PROOF/mutants/mutants.py" --fit 2>&1
}

# A tool of the list that is none of the checks would never be missed.
check_list()
{
	sed -n 's/^\([a-z_]\+\) .*/\1/p' "$PROOF/lint/lint.list" | sort -u | while read -r tool; do
		echo " $every " | grep -q " $tool " || echo "proof/lint/lint.list:0: there is no check $tool"
	done
}

mkdir -p "$out"
"$HARNESS/base/setup.sh" coccinelle cppcheck shellcheck pyflakes3 python3-ply python3-git >&2
. "$PROOF/lint/checks.sh"
