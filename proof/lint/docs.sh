#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds the pages of Documentation/ that the series touches with the kernel's
# own set-up of Sphinx, into build/docs: TAP on stdout, what is done on stderr. A
# warning is a failure, be it Sphinx's or kernel-doc's. Also looks for paths in
# our pages that lead nowhere, for kernel-doc that is in no page, and proves that
# a bad page is noticed.
# shellcheck disable=SC2317 # the checks are called by their names
. "$(dirname "$0")/../../harness/lib.sh"

tree=$BUILD/tree
out=$OUT/docs
html=$BUILD/docs
# Debian's Sphinx is one of Debian's Python.
PATH=/usr/bin:/bin:$PATH
export LC_ALL=C.UTF-8
# Where Sphinx leaves a trace if it breaks
export TMPDIR="$out"

# Files of the series, relative to the tree; $1: git's --diff-filter
files()
{
	filter=$1
	shift
	git -C "$tree" diff --no-renames --name-only --diff-filter="$filter" base series -- "$@"
}

# $1: folder of pages, $2: folder for the HTML, then options; prints the warnings,
# a line each, of which findings.py wants the path first.
sphinx()
{
	from=$1
	into=$2
	shift 2
	rm -rf "$into" "$out/doctrees"
	(cd "$tree" && srctree=$tree sphinx-build -q -b html -c Documentation -d "$out/doctrees" \
		-D "version=$version" -D "release=$version" -D "kerneldoc_srctree=$tree" \
		-D exclude_patterns=netlink "$@" "$from" "$into" >"$out/sphinx.log" 2>&1) ||
		echo "$from:0: sphinx-build failed: $(tail -n 1 "$out/sphinx.log")"
	grep -E 'WARNING|ERROR|CRITICAL|SEVERE' "$out/sphinx.log" |
		sed -e "s,$tree/,,g" -e 's/^\(WARNING\|ERROR\): \([^ :]*:[0-9]*\) /\2: \1: /' | unavoidable
}

# Drops what no page of ours can help:
# - tables of contents name the pages that we leave out, as there are thousands of
#   them. It is a finding if there is no such page.
# - diagrams of other pages would like graphviz; ours have none.
unavoidable()
{
	while IFS= read -r line; do
		case $line in
		*'toctree contains reference to non'*'existing document'*)
			page=${line#*document \'}
			[ -f "$tree/Documentation/${page%\'*}.rst" ] || echo "$line"
			;;
		*'dot(1) not found'*) ;;
		*) echo "$line" ;;
		esac
	done
}

# The pages of the series, among them the indexes that have to name ours.
check_pages()
{
	include=index.rst
	for page in $(files ACM 'Documentation/*.rst'); do
		include=$include,${page#Documentation/}
	done
	sphinx Documentation "$html.new" -D "include_patterns=$include"
	for page in $(files ACM 'Documentation/*.rst'); do
		page=${page#Documentation/}
		[ -s "$html.new/${page%.rst}.html" ] || echo "Documentation/$page:0: was not built"
	done
	rm -rf "$html"
	mv "$html.new" "$html"
}

# Sphinx says nothing of a path in the text that there is not.
check_paths()
{
	cd "$tree"
	for page in $(files A 'Documentation/*.rst'); do
		grep -noE '\b(Documentation|drivers|include|tools|samples|scripts)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]' "$page" |
			while IFS=: read -r line path; do
				[ -e "$path" ] || echo "$page:$line: there is no $path"
			done
	done
}

# What has a comment for kernel-doc, or what a page asks for by name, is in a page:
# Sphinx says nothing of a name that there is not.
check_all_shown()
{
	cd "$tree"
	for source in $(files A 'drivers/iommu/iommufd/eventq*.[ch]'); do
		sed -nE 's,^ \* (struct )?([a-z_]+)(\(\))? - .*,\2,p' "$source" | shown_or "$source"
	done
	for page in $(files A 'Documentation/*.rst'); do
		sed -n 's/^ *:identifiers: *//p' "$page" | tr ' ' '\n' | shown_or "$page"
	done
}

# $1: the file that has the names, which come from stdin
shown_or()
{
	while read -r name; do
		grep -rqF "id=\"c.$name\"" "$html" || echo "$1:0: $name is in no page"
	done
}

# Each of these has to be found, the file twice, and nothing else: a label that there is not, a
# table that is broken, kernel-doc of a file that there is not, a table of contents
# with a page that there is not, a page that is in no table of contents.
check_bad_page()
{
	bad=$out/bad/Documentation
	rm -rf "$out/bad"
	mkdir -p "$bad"
	ln -s "$tree/MAINTAINERS" "$out/bad/MAINTAINERS"
	cat >"$bad/index.rst" <<-'END'
		Bad
		===

		.. toctree::

		   iommufd_no_such_page

		See :ref:`iommufd-no-such-label`.

		====  ====
		three words here
		====  ====

		.. kernel-doc:: drivers/iommu/iommufd/no_such_file.c
	END
	printf 'Lost\n====\n' >"$bad/lost.rst"
	sphinx "$bad" "$out/bad/html" >"$out/bad/found"
	for wanted in 'undefined label' 'Malformed table' no_such_file.c \
		iommufd_no_such_page "isn't included in any toctree"; do
		grep -q "$wanted" "$out/bad/found" || echo "proof/lint/docs.sh:0: a bad page is not noticed: $wanted"
	done
	[ "$(wc -l <"$out/bad/found")" = 6 ] || echo "proof/lint/docs.sh:0: a bad page gives more than its warnings, see $out/bad/found"
}

mkdir -p "$out"
"$HARNESS/base/setup.sh" python3-sphinx python3-yaml >&2
version=$(sed -n 's/^\(VERSION\|PATCHLEVEL\) = //p' "$tree/Makefile" | paste -sd.)
. "$PROOF/lint/checks.sh"
