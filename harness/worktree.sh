#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts the kernel's sources into build/NAME, in the state of one branch or commit
# of build/tree: a folder for somebody to change files in, or to build from whatever
# becomes of build/tree. What is right already keeps its time stamps.
# usage: worktree.sh NAME base|series|COMMIT
. "$(dirname "$0")/lib.sh"

to=$BUILD/$1
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
	[ ! -d "$to" ] || ! tree_git -C "$to" rev-parse -q --verify base >/dev/null 2>&1 || return 0
	rm -rf "$to"
	tree_git -C "$tree" worktree prune
	tree_git -C "$tree" worktree add -q --detach "$to" base
}

# A git that was killed may have left its lock: two makes never work here.
unlock()
{
	rm -f "$(cd "$to" && tree_git rev-parse --git-path index.lock)"
}

if ! make_worktree || ! unlock || ! tree_git -C "$to" reset -q --hard "$2"; then
	die "git cannot check $2 out into build/$1"
fi
