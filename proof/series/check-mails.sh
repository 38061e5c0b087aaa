#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Applies the mails of build/series with git am to the pristine base, as one who
# gets them does, and wants each to make the tree of its commit in build/tree, whose
# repository has of the base what the series touches.
. "$(dirname "$0")/../../harness/lib.sh"

tree=$BUILD/tree
to=$OUT/series-mails
mails=$BUILD/series

# Nothing of the user's settings; who applies the mails does not matter.
plain_git()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -c user.name=x -c user.email=x@localhost \
		-c gc.auto=0 -c advice.skippedCherryPicks=false "$@"
}

# The trees of the commits $2 in $1
trees()
{
	plain_git -C "$1" log --reverse --format='%T %s' "$2"
}

[ -f "$mails/0000-cover-letter.patch" ] || die "there are no mails in build/series (make series makes them)"
rm -rf "$to"
plain_git clone -q --shared --no-checkout "$tree" "$to"
plain_git -C "$to" checkout -q --detach origin/base
# shellcheck disable=SC2046 # names without blanks
plain_git -C "$to" am -q $(find "$mails" -name '*.patch' ! -name '0000-*' | sort) >"$to.log" 2>&1 || {
	sed -n 's/^error: //p; /^Patch failed/p' "$to.log" | head -n 5 >&2
	die "the mails do not apply to the base, see $to.log"
}
trees "$to" origin/base..HEAD >"$to.made"
trees "$tree" base..series >"$to.wanted"
cmp -s "$to.made" "$to.wanted" ||
	die "the mails make other trees than build/tree has: $(diff "$to.made" "$to.wanted" | sed -n 's/^[<>] [0-9a-f]* //p' | head -n 1)"
rm -rf "$to" "$to.made" "$to.wanted" "$to.log"
