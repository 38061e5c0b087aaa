# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of tree.py: the base as a git tree, the series on it, the mails.
# shellcheck disable=SC2317 # the tests are called by their names

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
