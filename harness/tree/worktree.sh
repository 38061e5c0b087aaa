#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts the kernel's sources into build/NAME, in the state of one branch or commit
# of build/tree: a folder for somebody to change files in, or to build from whatever
# becomes of build/tree. What is right already keeps its time stamps. As in
# build/tree files are shared with build/base where nobody edits (see tree.py).
# usage: worktree.sh NAME base|series|COMMIT
. "$(dirname "$0")/../lib.sh"

python3 -B "$HARNESS/tree/tree.py" worktree "$1" "$2"
