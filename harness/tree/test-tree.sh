# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of tree.py: the base as a git tree, the series on it, the mails.
# shellcheck disable=SC2317 # the tests are called by their names

# Files of the base that are not edited, those beside one that the series touches,
# a link, an odd name, a program.
fake_shared()
{
	fake_kernel linux 7.3
	mkdir -p linux/kernel linux/drivers/iommu/intel
	echo shared >'linux/kernel/a file.c'
	ln -s 'a file.c' linux/kernel/link
	for name in kernel/tool drivers/iommu/io-pgfault.c drivers/iommu/intel/prq.c drivers/iommu/iommufd/device.c; do
		echo "$name" >"linux/$name"
	done
	chmod +x linux/kernel/tool
	fake_project
	cp -a "$EVENTQ_BUILD/base" pristine
	works tree
	folder=$EVENTQ_BUILD/tree
	copied=
}

shares_inode()
{
	[ "$(stat -c %i "$1")" = "$(stat -c %i "$2")" ]
}

# Nothing that git or an editor may write has the inode of the base's file. If
# `copied` is set, the series touched all the others, too.
check_own()
{
	{
		git -C "$1" ls-files
		(cd "$1" && find drivers/iommu -type f)
	} | while IFS= read -r name; do
		[ ! -e "$EVENTQ_BUILD/base/$name" ] || ! shares_inode "$1/$name" "$EVENTQ_BUILD/base/$name" || {
			echo "# shared: $name"
			exit 1
		}
	done
	[ -n "$copied" ] || shares_inode "$1/kernel/a file.c" "$EVENTQ_BUILD/base/kernel/a file.c"
	diff -r --no-dereference pristine "$EVENTQ_BUILD/base"
	works base
}

test_tree_shares_what_nobody_edits()
{
	fake_shared
	check_own "$folder"
	[ -x "$folder/kernel/tool" ] && [ -L "$folder/kernel/link" ]
	[ -z "$(find "$EVENTQ_BUILD/base" -type f -perm /222)" ]
	for name in drivers/iommu/io-pgfault.c drivers/iommu/intel/prq.c drivers/iommu/iommufd/device.c; do
		[ -n "$(find "$folder/$name" -perm -200)" ]
	done
	works in_tree fsck --strict --no-dangling
	[ -z "$(in_tree status --porcelain)" ]
}

test_nothing_writes_into_the_base()
{
	fake_shared
	for name in drivers/iommu/io-pgfault.c drivers/iommu/intel/prq.c drivers/iommu/iommufd/device.c; do
		echo edited >>"$folder/$name"
	done
	works in_tree checkout -q base -- drivers
	works in_tree reset -q --hard
	check_own "$folder"
	echo edited >>"$folder/drivers/iommu/intel/prq.c"
	works python3 "$HARNESS/tree/refresh.py" 01
	check_own "$folder"
	works "$HARNESS/tree/tree.py" worktree other base
	diff -r --no-dereference -x .git "$EVENTQ_BUILD/other" pristine
	(cd "$EVENTQ_BUILD/other" && GIT_CEILING_DIRECTORIES=$EVENTQ_BUILD git apply --unidiff-zero --exclude='*.h' "$OLDPWD/series/01-first.patch")
	echo edited >"$EVENTQ_BUILD/other/drivers/iommu/iommufd/Kconfig"
	check_own "$EVENTQ_BUILD/other"
	works "$HARNESS/tree/tree.py" worktree other series
	check_own "$EVENTQ_BUILD/other"
	diff -r --no-dereference -x .git "$EVENTQ_BUILD/other" "$folder"
	works "$HARNESS/tree/tree.py" worktree other base
	diff -r --no-dereference -x .git "$EVENTQ_BUILD/other" pristine
}

test_write_through_a_hard_link_is_noticed()
{
	fake_shared
	echo edited >>"$folder/kernel/a file.c"
	fails_with 'kernel/a file.c was written to' "$HARNESS/base/base.sh"
	rm "$EVENTQ_BUILD/base.from"
	works base
	works tree
	check_own "$folder"
}

# An editor that writes another file and renames it leaves a file of its own.
test_replaced_file_is_noticed()
{
	fake_shared
	for name in 'kernel/a file.c' drivers/iommu/intel/prq.c; do
		sed -i s/^/mine/ "$folder/$name"
		fails_with "changes of its own ($name)" tree
		rm "$folder/$name"
		cp "$EVENTQ_BUILD/base/$name" "$folder/$name"
		works tree
	done
	rm "$folder/drivers/iommu/io-pgfault.c"
	fails_with 'changes of its own (drivers/iommu/io-pgfault.c)' tree
}

# Another file, in another folder: the base's commit and its copies are made anew.
test_series_touches_another_file()
{
	fake_shared
	touch -d 2020-01-01 "$folder/README" "$folder/drivers/iommu/iommufd/eventq.c"
	before=$(in_tree rev-parse base)
	step 02-second 'Remove: kernel/tool' ''
	works tree
	[ ! -e "$folder/kernel/tool" ] && [ "$before" != "$(in_tree rev-parse base)" ]
	! shares_inode "$folder/kernel/a file.c" "$EVENTQ_BUILD/base/kernel/a file.c" || return 1
	[ "$(date -r "$folder/drivers/iommu/iommufd/eventq.c" +%Y)" = 2020 ]
	second=$(in_tree rev-parse 'HEAD^{tree}')
	rm series/02-second.patch
	works tree
	[ -x "$folder/kernel/tool" ] && [ "$before" = "$(in_tree rev-parse base)" ]
	step 02-second 'Remove: kernel/tool' ''
	rm -rf "$folder"
	works tree
	[ "$second" = "$(in_tree rev-parse 'HEAD^{tree}')" ]
}

# $1: a function of tree.py, $2: its call that is the last; an update and a new
# folder are killed there, as kill -9 does it.
killed_at()
{
	fails_with killed python3 -B - "$1" "$2" <<-'EOF'
		import itertools
		import os
		import sys
		sys.path.insert(0, os.environ["PYTHONPATH"].split(":")[0])
		import tree
		calls, real = itertools.count(1), getattr(tree, sys.argv[1], None) or getattr(tree.Git, sys.argv[1])
		def killed(*args, **kw):
		    done = real(*args, **kw)
		    if next(calls) == int(sys.argv[2]):
		        print("error: killed", file=sys.stderr, flush=True)
		        os._exit(9)
		    return done
		setattr(tree if hasattr(tree, sys.argv[1]) else tree.Git, sys.argv[1], killed)
		tree.make_tree()
	EOF
}

# From the state that a kill left, the next run gets to the same.
test_kill_at_any_point_recovers()
{
	fake_shared
	copied=1
	step 02-second 'Rename: README README.old' 30
	works tree
	head=$(in_tree rev-parse HEAD)
	cp -a "$folder" whole
	step 03-third 'Remove: kernel/tool' ''
	mv series/03-third.patch .
	at=0
	while at=$((at + 3)); do
		cp 03-third.patch series/
		works tree
		rm series/03-third.patch
		killed_at run "$at" >kill.txt || break
		works tree
		[ "$head" = "$(in_tree rev-parse HEAD)" ]
		diff -r --no-dereference -x .git "$folder" whole
		check_own "$folder"
	done
	[ "$at" -gt 30 ]
	for at in new_folder:1 commit_series:1 shares:1 checkout:1; do
		rm -rf "$folder"
		killed_at "${at%:*}" "${at#*:}"
		[ ! -e "$folder" ]
		works tree
		[ "$head" = "$(in_tree rev-parse HEAD)" ]
		diff -r --no-dereference -x .git "$folder" whole
		check_own "$folder"
	done
}

test_variant_for_another_base()
{
	mkdir -p linux
	fake_kernel linux 7.2
	sed -i 's/^line 20$/line twenty/' linux/drivers/iommu/iommufd/eventq.c
	export BASE=7.2
	fake_project
	fails_with 'series/01-first.patch: the diff does not apply' tree
	printf '%s\n' '--- a/drivers/iommu/iommufd/eventq.c' '+++ b/drivers/iommu/iommufd/eventq.c' \
		'@@ -20 +20 @@' '-line twenty' '+LINE 20' >series/01-first.7.2.diff
	works tree
	[ "$(sed -n 20p "$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c")" = 'LINE 20' ]
	fails_with 'has variants for 7.2' python3 "$HARNESS/tree/refresh.py" 01
	cp series/01-first.7.2.diff series/02-none.7.2.diff
	fails_with 'series/02-none.7.2.diff: a variant is named' tree
	rm series/02-none.7.2.diff
	sed -i s/eventq.c/device.c/ series/01-first.7.2.diff
	fails_with 'series/01-first.7.2.diff: the step has no diff of drivers/iommu/iommufd/device.c' tree
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

# A file of ours comes as it was before the steps that change it.
test_add_without_what_later_steps_change()
{
	fake_project
	printf 'one\ntwo\nthree\n' >drivers/iommu/iommufd/eventq.h
	overlay_step 02-two one two
	overlay_step 03-three two three
	works tree
	for at in HEAD~2:1 HEAD~1:2 HEAD:3; do
		[ "$(in_tree show "${at%:*}:drivers/iommu/iommufd/eventq.h" | wc -l)" = "${at#*:}" ]
	done
	cmp drivers/iommu/iommufd/eventq.h "$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.h"
}

test_later_step_changes_what_is_not_there()
{
	fake_project
	overlay_step 02-two new two
	fails_with 'series/02-two.patch: the diff does not apply' tree
	[ ! -e "$EVENTQ_BUILD/tree" ]
}

# Here it is the side that the hunk adds which has to be in one place only.
test_later_step_fits_in_several_places()
{
	fake_project
	printf 'zero\none\ntwo\none\ntwo\n' >drivers/iommu/iommufd/eventq.h
	overlay_step 02-two one two
	fails_with 'series/02-two.patch: hunk -1 +1,2 of drivers/iommu/iommufd/eventq.h fits in several places' tree
}

# $1: name of a step; it adds line $3 of eventq.h, after line $2
overlay_step()
{
	{
		printf 'iommufd: %s\n\nWhy it is done.\n\n---\n' "$1"
		printf '%s\n' '--- a/drivers/iommu/iommufd/eventq.h' \
			'+++ b/drivers/iommu/iommufd/eventq.h' '@@ -1 +1,2 @@' " $2" "+$3"
	} >"series/$1.patch"
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
	mine=$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c
	echo mine >"$mine"
	echo newer >drivers/iommu/iommufd/eventq.h
	fails_with 'build/tree has changes of its own (drivers/iommu/iommufd/eventq.c)' tree
	[ "$(cat "$mine")" = mine ]
}

test_interrupted_update_recovers()
{
	fake_project
	works tree
	touch "$EVENTQ_BUILD/tree/.git/eventq-updating" "$EVENTQ_BUILD/tree/.git/index.lock"
	echo half >"$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c"
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
	diff -r -x .git mine "$EVENTQ_BUILD/tree"
}
