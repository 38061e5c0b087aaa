#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts the sources of one of the two kernels that are compared into build/bench.
# Both are built from this one folder, so that the second build compiles only
# what differs. "Stock" is the base with the mock device of the series, which
# both so measure with; the queues, and all else, are the base's.
# usage: bench-source.sh stock|ours
. "$(dirname "$0")/lib.sh"

src=$BUILD/bench
tree=$BUILD/tree

# The user's git settings are none of our business, and still less the user's
# repository, which git would find above a folder that is no worktree.
tree_git()
{
	GIT_CEILING_DIRECTORIES=$BUILD GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git "$@"
}

# Another base means another build/tree, which then does not know the folder.
make_worktree()
{
	[ ! -d "$src" ] || ! tree_git -C "$src" rev-parse -q --verify base >/dev/null 2>&1 || return 0
	rm -rf "$src"
	tree_git -C "$tree" worktree prune
	tree_git -C "$tree" worktree add -q --detach "$src" base
}

make_worktree || die "git cannot check the base out into build/bench"
case $1 in
stock)
	tree_git -C "$src" reset -q --hard base
	tree_git -C "$src" apply --unidiff-zero "$ROOT"/series/*-iommufd-selftest-iopf.patch ||
		die "the series' mock device does not apply to the base alone"
	;;
ours) tree_git -C "$src" reset -q --hard series ;;
*) die "bench-source.sh knows stock and ours, not $1" ;;
esac
