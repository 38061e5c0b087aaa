#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Puts what was changed in build/tree into the diff of one step of series/, and
makes the tree anew. Nothing is changed unless that gives the same tree.

usage: refresh.py NN
"""
import re
import subprocess
import sys

from steps import IDENTITY, SERIES, Failure, Git, Step, base_version, commit_series, overlay_files, \
    steps
from tree import TREE, changes, say, update_tree


def find_step(number):
    found = [path for path in steps() if path.name.startswith(f"{number}-")]
    if not re.fullmatch(r"\d\d", number) or not found:
        raise Failure(f"series/ has no step {number} (STEP=05)")
    return found[0]


def changed_files(git):
    """What was changed in build/tree, and may be: what lies there only."""
    if not (git.top / ".git/eventq-shares").exists():
        raise Failure("there is no build/tree yet: run `make tree` first")
    if any(SERIES.glob(f"*.{base_version()}.diff")):
        raise Failure(f"the series has variants for {base_version()}: refresh it on the base that it is for")
    names, new = changes(git)
    for name in sorted(new):
        raise Failure(f"{name} is new: it belongs into this folder, not into build/tree")
    for name in sorted(names - git.names("ls-files")):
        raise Failure(f"{name} is in a folder that build/tree shares with the base: no step touches a file of it")
    if not names:
        raise Failure("nothing is changed in build/tree")
    for name in names & overlay_files():
        raise Failure(f"edit {name} in this folder, not in build/tree")
    return names


def write_tree(git, base, action):
    """The tree that an action makes of another one, in an index of its own."""
    env = {"GIT_INDEX_FILE": str(git.top / ".git" / "eventq-refresh")}
    git.run("read-tree", base, **env)
    action(env)
    return git.out("write-tree", **env)


def apply(git, change, problem):
    """The action that makes the change."""
    def action(env):
        if git.run("apply", "--cached", "-", data=change, check=False, **env).returncode:
            raise Failure(problem)
    return action


def new_diff(git, tip, path, change):
    """The diff that the step needs to bring about the change, too."""
    at = steps().index(path)
    last = git.out("rev-parse", f"{tip}~{len(steps()) - 1 - at}")

    def directives(env):
        step = Step(git, env, path)
        step.files = []
        step.later = [Step(git, env, later) for later in steps()[at + 1:]]
        step.apply()

    old = write_tree(git, f"{last}~1", directives)
    new = write_tree(git, last, apply(git, change, f"the change does not fit onto step {path.name}:"
                                      " a later one has the lines, or makes the file"))
    diff = git.run("diff", "-U1", "--no-renames", "--no-color", old, new).stdout.decode()
    return re.sub(r"^index .*\n", "", diff, flags=re.M)


def refresh(path):
    git = Git(TREE)
    names = changed_files(git)
    change = git.run("diff", "--binary", "--no-renames", "HEAD").stdout
    # What lies in this folder may have been changed as well
    tip = commit_series(git, IDENTITY)
    wanted = write_tree(git, tip, apply(git, change, "the change does not fit what series/ makes"))
    before = path.read_text()
    after = new_diff(git, tip, path, change)
    try:
        path.write_text(before.partition("\n---\n")[0].rstrip("\n") + "\n---\n" + after)
        commit = commit_series(git, IDENTITY)
        if git.out("rev-parse", f"{commit}^{{tree}}") != wanted:
            raise Failure(f"with the change in step {path.name} the last tree is another one")
    except BaseException:
        path.write_text(before)
        raise
    update_tree()
    say(f"series/{path.name}: {', '.join(sorted(names))}")


def main():
    try:
        if len(sys.argv) != 2:
            raise Failure("which step is to be changed? (make refresh STEP=05)")
        refresh(find_step(sys.argv[1]))
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
