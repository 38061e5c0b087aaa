# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of refresh.py: a change in build/tree becomes a part of a step.
# shellcheck disable=SC2317 # the tests are called by their names

refresh()
{
	python3 "$HARNESS/tree/refresh.py" "$@"
}

# Two steps change eventq.c: line 20 is the first one's, 30 the second one's.
fake_two_steps()
{
	fake_project
	step 02-second 'Rename: README README.old' 30
	works tree
	file=$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c
}

test_refresh_of_first_step()
{
	fake_two_steps
	sed -i 's/^LINE 20$/LINE 20 as well/; s/^line 5$/five/' "$file"
	works refresh 01
	[ -z "$(in_tree status --porcelain)" ]
	[ "$(in_tree show HEAD~1:drivers/iommu/iommufd/eventq.c | sed -n '5p;20p;30p' | paste -sd,)" = 'five,LINE 20 as well,line 30' ]
	[ "$(sed -n '5p;20p;30p' "$file" | paste -sd,)" = 'five,LINE 20 as well,LINE 30' ]
	grep -q '^Add: drivers/iommu/iommufd/eventq.h$' series/01-first.patch
	rm -rf "$EVENTQ_BUILD/tree"
	works tree
	[ "$(sed -n 5p "$file")" = five ]
}

test_refresh_keeps_directives()
{
	fake_two_steps
	sed -i 's/^line 5$/five/' "$file"
	works refresh 02
	[ -e "$EVENTQ_BUILD/tree/README.old" ]
	[ "$(in_tree show HEAD~1:drivers/iommu/iommufd/eventq.c | sed -n 5p)" = 'line 5' ]
	[ "$(sed -n 5p "$file")" = five ]
}

test_refresh_of_lines_of_a_later_step()
{
	fake_two_steps
	cp -r series series.old
	sed -i 's/^LINE 30$/thirty/' "$file"
	fails_with 'does not fit onto step 01-first.patch' refresh 01
	diff -r series series.old
	[ "$(sed -n 30p "$file")" = thirty ]
	works refresh 02
	[ "$(sed -n 30p "$file")" = thirty ]
}

test_refresh_of_nothing()
{
	fake_project
	fails_with 'there is no build/tree yet' refresh 01
	step 02-second 'Rename: README README.old' 30
	works tree
	file=$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.c
	fails_with 'nothing is changed in build/tree' refresh 01
	sed -i 's/^line 5$/five/' "$file"
	fails_with 'which step' refresh
	fails_with 'series/ has no step 03' refresh 03
	fails_with 'series/ has no step 0' refresh 0
}

# A file of ours was changed as well.
test_refresh_before_tree()
{
	fake_two_steps
	sed -i 's/^line 5$/five/' "$file"
	echo newer >drivers/iommu/iommufd/eventq.h
	fails_with 'make refresh' tree
	works refresh 02
	[ "$(sed -n 5p "$file")" = five ]
	cmp drivers/iommu/iommufd/eventq.h "$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.h"
	[ -z "$(in_tree status --porcelain)" ]
}

test_refresh_with_a_new_file()
{
	fake_two_steps
	sed -i 's/^line 5$/five/' "$file"
	echo new >"$EVENTQ_BUILD/tree/drivers/iommu/new.c"
	fails_with 'drivers/iommu/new.c is new' refresh 02
	[ "$(sed -n 5p "$file")" = five ]
}

test_refresh_of_a_file_of_ours()
{
	fake_two_steps
	echo other >"$EVENTQ_BUILD/tree/drivers/iommu/iommufd/eventq.h"
	fails_with 'edit drivers/iommu/iommufd/eventq.h in this folder' refresh 01
}
