#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Makes build/sparse/sparse: a link to an installed one that the kernel in
# build/tree accepts, else built of Debian's signed source package. With one
# that is too old, as a stable Debian's is, the kernel checks nothing, with no
# more than a warning. Does nothing once it is there.
. "$(dirname "$0")/../../harness/lib.sh"
# shellcheck source=harness/base/apt.sh
. "$HARNESS/base/apt.sh"

dest=$BUILD/sparse
new=$dest.new

# The kernel's own question
is_accepted()
{
	[ -x "$1" ] && [ "$(sh "$BUILD/tree/scripts/checker-valid.sh" "$1" 2>/dev/null)" = 1 ]
}

if is_accepted "$dest/sparse"; then
	exit 0
fi
rm -rf "$new"
mkdir -p "$new"

installed=$(command -v sparse || :)
if is_accepted "$installed"; then
	say "using $installed"
	ln -s "$installed" "$new/sparse"
	rm -rf "$dest"
	mv "$new" "$dest"
	exit 0
fi

say "building sparse: no installed one is new enough"
command -v apt-get >/dev/null ||
	die "no sparse is installed that this kernel accepts, and this is no Debian that would have the source of one"
read_lists deb-src sid ': there is the source of a sparse that this kernel accepts; an installed one would do'
(cd "$new" && private_apt source --download-only sparse) >"$new/log" 2>&1 ||
	die "the download of sparse's source failed, see $new/log"
rm -rf "$apt_dir"
tar -C "$new" --strip-components=1 -xf "$(find "$new" -name 'sparse_*.orig.tar.*' ! -name '*.asc')"
make -s -C "$new" -j"$JOBS" sparse >>"$new/log" 2>&1 ||
	die "sparse does not build, see $new/log"
is_accepted "$new/sparse" ||
	die "Debian's sparse $("$new/sparse" --version) is none that this kernel accepts: install a newer one"
rm -rf "$dest"
mv "$new" "$dest"
