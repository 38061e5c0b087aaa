#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Says in one line whether the mails of build/series apply to the newest kernel 7
# that Debian packages, if that is newer than the base. Only tells: it fails in no
# case. Of that kernel it keeps the files that the series touches.
. "$(dirname "$0")/lib.sh"

folder=$BUILD/out/series-next
apt_dir=$folder/apt
. "$HARNESS/apt.sh"

suites='trixie-backports sid experimental'

tell()
{
	say "next kernel: $*"
	exit 0
}

# What the suite has: lines of version and package.
packages()
{
	apt_tool=apt-cache private_apt pkgnames linux-source-7. 2>/dev/null | while IFS= read -r name; do
		version=$(apt_tool=apt-cache private_apt show "$name" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
		[ -z "$version" ] || echo "$version $name"
	done
}

base_version()
{
	sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = //p' "$BUILD/base/Makefile" | paste -sd.
}

# Keeps the newest of version, package and suite on stdin.
newest()
{
	best=
	while IFS= read -r line; do
		if [ -z "$best" ] || dpkg --compare-versions "${line%% *}" gt "${best%% *}"; then
			best=$line
		fi
	done
	echo "$best"
}

# All that can go wrong on the way to a suite ends the subshell alone.
offers()
{
	for suite in $suites; do
		(read_lists deb "$suite" '' && packages | sed "s/\$/ $suite/") 2>"$folder/errors" || :
	done
}

# The files that the series touches
touched()
{
	GIT_CONFIG_GLOBAL=/dev/null git -C "$BUILD/tree" log --format= --name-only --no-renames base..series | sort -u
}

# $1: package, $2: suite, $3: folder for its files
fetch()
{
	read_lists deb "$2" ''
	rm -rf "$folder/dl" "$3.new"
	mkdir -p "$folder/dl" "$3.new"
	(cd "$folder/dl" && private_apt download "$1") >"$folder/log" 2>&1 || die "the download failed"
	# Files that the series adds are not there; one that must be.
	{ echo Makefile && touched; } | sort -u | sed "s,^,$1/," >"$folder/files"
	dpkg-deb --fsys-tarfile "$folder"/dl/*.deb | tar -xOf - "./usr/src/$1.tar.xz" |
		tar -C "$3.new" --strip-components=1 -xJf - -T "$folder/files" >"$folder/log" 2>&1 || :
	[ -f "$3.new/Makefile" ] || die "it is damaged"
	rm -rf "$folder/dl" "$3"
	mv "$3.new" "$3"
}

own_git()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C "$folder/work" -c user.name=x \
		-c user.email=x@localhost -c gc.auto=0 "$@"
}

# $1: folder with the files; fails with git's first complaint on stdout
apply()
{
	rm -rf "$folder/work"
	cp -a "$1" "$folder/work"
	own_git init -q
	own_git add -f .
	own_git commit -q -m base
	# shellcheck disable=SC2046 # names without blanks
	own_git am -q $(find "$BUILD/series" -name '*.patch' ! -name '0000-*' | sort) >"$folder/log" 2>&1 && return
	sed -n 's/^Patch failed at \([0-9]*\).*/patch \1/p' "$folder/log" | head -n 1
	sed -n 's/^error: patch failed: //p' "$folder/log" | head -n 1
	return 1
}

mkdir -p "$folder"
best=$(offers | newest)
rm -rf "$apt_dir"
[ -n "$best" ] || tell "Debian's package lists cannot be read (no network?)"
version=${best%% *}
suite=${best##* }
package=${best#* }
package=${package% *}
dpkg --compare-versions "${version%%-*}" gt "$(base_version)" ||
	tell "Debian offers none after $(base_version) (its newest: $version)"
files=$folder/$version
[ -d "$files" ] || (fetch "$package" "$suite" "$files") 2>"$folder/errors" ||
	tell "$package $version cannot be had: $(tail -n 1 "$folder/errors")"
rm -rf "$apt_dir"
if why=$(apply "$files"); then
	tell "the series applies to $package $version"
else
	tell "the series does NOT apply to $package $version: $(echo "$why" | paste -sd' ')"
fi
