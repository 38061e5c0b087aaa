#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks what those who take patches demand of the series: of each commit by
itself, and of the mails. Which checks there are and what they demand stands here;
compiling is in commit-objects.sh, booting in check.py, checkpatch in lint.sh. Each
build reuses the objects of the commit before; a commit that changes nothing that is
built is not built.

usage: series.py [NN | NN-]    the only commit to check, or the first one
"""
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from typing import NamedTuple

from boot import BUILD, PROOF, read_list, say, script
from steps import Failure, Git

# A build directory with one commit of the series as its build/tree
COMMIT = BUILD.resolve() / "out/series"
OBJECTS = ("x86-test", "x86-noiopf", "x86-module", "i386", "arm64")
# What one reads in one go; tests and documents do not count.
MOST_ADDED = 710
UNCOUNTED = ("tools/testing", "drivers/iommu/iommufd/eventq_test*", "Documentation", "MAINTAINERS")
LARGE = PROOF / "series/large.list"
# What compilers say of the base, by configuration
KNOWN = PROOF / "series/known-warnings.list"
# No kernel is made of these, and of the latter no test either.
NOT_BUILT = ("tools/testing", "samples", "Documentation", "MAINTAINERS")
TESTS = "tools/testing/selftests/iommu"
NOT_RUN = ("samples", "Documentation", "MAINTAINERS")


class Commit(NamedTuple):
    number: int
    id: str
    subject: str


def but(paths):
    return ["--", ".", *(f":(exclude){p}" for p in paths)]


def commits(git):
    ids = git.out("rev-list", "--reverse", "refs/heads/base..refs/heads/series").split()
    return [Commit(n, i, git.out("log", "-1", "--format=%s", i)) for n, i in enumerate(ids, 1)]


def chosen(text, every):
    """All commits; C=n: one; C=n-: from that one on."""
    match = re.fullmatch(r"(\d+)(-?)", text or "1-")
    if not match:
        raise Failure(f"C={text} is no number of a commit (C=5: only that, C=5-: from that on)")
    first = int(match[1])
    if not 1 <= first <= len(every):
        raise Failure(f"there is no commit {first}, the series has 1 to {len(every)}")
    return every[first - 1:] if match[2] else [every[first - 1]]


def changed(git, commit, without):
    """The files that the commit changes, but for some."""
    return git.out("diff-tree", "-r", "--no-renames", "--name-only", f"{commit.id}^", commit.id,
                   *but(without)).splitlines()


# ---- the patch

def limits():
    """The commits that may be larger, by subject"""
    lines = read_list(LARGE)
    return {rest.partition("  #")[0]: int(most) for most, rest in lines}


def check_size(git, commit):
    lines = git.out("diff-tree", "-r", "-M", "--numstat", commit.id + "^", commit.id, *but(UNCOUNTED))
    added = sum(int(n) for n in re.findall(r"^(\d+)\t", lines, re.M))
    most = limits().get(commit.subject, MOST_ADDED)
    if most > MOST_ADDED >= added:
        return [f"adds {added} lines only, and is in {LARGE.name}"]
    return [f"adds {added} lines, more than {most} outside tests and documents"] if added > most else []


# ---- building

def checkout(commit):
    """Puts the sources of the commit into build/out/series/tree; those that are
    right keep their time stamps, so that make does what is needed and no more."""
    COMMIT.mkdir(parents=True, exist_ok=True)
    for name in ("base", "base.from", "sparse"):
        if not (COMMIT / name).is_symlink():
            (COMMIT / name).symlink_to(BUILD / name)
    tree = os.path.relpath(COMMIT / "tree", BUILD)
    if script("harness/tree/tree.py", "worktree", tree, commit.id).returncode:
        raise Failure(f"commit {commit.number} cannot be checked out")


def on_commit(name, *args):
    """Runs a script on the commit that is checked out."""
    return script(name, *args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                  errors="replace", env={**os.environ, "EVENTQ_BUILD": str(COMMIT)})


def complaint(done):
    """Of what a script that failed said, what tells why."""
    lines = [x for x in done.stdout.splitlines() if not x.startswith("[")]
    return lines[-20:] or [f"failed with status {done.returncode}"]


def warnings(text):
    """The lines of a build's log that warn, without the numbers of lines, which
    move, and without the place of the sources."""
    found = [re.sub(r":\d+(:\d+)?(?=[: ])", "", x.replace(f"{COMMIT}/tree/", "").strip())
             for x in text.splitlines() if re.search(r"\bwarning:", x, re.I)]
    return list(dict.fromkeys(found))


def check_objects(name, commit):
    """One configuration, of which only objects are made. build.log is kept until it
    was judged good: if there is one, all below drivers/ is compiled again."""
    out = COMMIT / "out" / name
    log = out / "build.log"
    checkout(commit)
    if log.exists():
        for path in (out / "drivers").rglob("*.o"):
            path.unlink()
        log.unlink()
    done = on_commit("proof/series/commit-objects.sh", name)
    wrong = complaint(done) if done.returncode else []
    if log.exists():
        known = {line for names, line in read_list(KNOWN) if name in names.split(",")}
        wrong += [f"new (not in {KNOWN.name}): {x}"
                  for x in warnings(log.read_text(errors="replace")) if x not in known]
    if not wrong:
        log.unlink(missing_ok=True)
    return wrong


# ---- running

def tests_of(git, commit):
    """Our programs that a commit is to be tested with: those that it adds, if
    that is all it does, as the others are as before; else all there are."""
    every = git.out("ls-tree", "-r", "--name-only", commit.id, TESTS).splitlines()
    paths = changed(git, commit, NOT_RUN)
    only_programs = all(path.startswith("tools/testing") for path in paths)
    found = {program(path) for path in (paths if only_programs else every)}
    return sorted(found - {None})


def program(path):
    """The program of ours that a source file makes, if it makes one."""
    match = re.fullmatch(rf"{TESTS}/(iommufd_eventq\w*)\.c", path)
    return match and match[1]


def check_boot(commit, name, programs):
    """name: of its log"""
    checkout(commit)
    done = subprocess.run([sys.executable, str(PROOF / "check.py"), "commit", *programs],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False, env={**os.environ, "EVENTQ_BUILD": str(COMMIT)})
    (COMMIT / f"{name}-{commit.number:02}.log").write_text(done.stdout)
    return complaint(done) if done.returncode else []


# ---- the series

def checks(git, commit):
    """Names and what to do, the cheap first."""
    yield "size", partial(check_size, git, commit)
    if changed(git, commit, NOT_BUILT):
        for name in OBJECTS:
            yield name, partial(check_objects, name, commit)
        yield "boot", partial(check_boot, commit, "boot", [])
    if programs := tests_of(git, commit):
        yield "tests", partial(check_boot, commit, "tests", programs)


class Report:
    def __init__(self):
        self.passed, self.failed = 0, []

    def tell(self, what, found):
        if found:
            say(f"{what}: FAILED")
            print("".join(f"    {line}\n" for line in found), end="", flush=True)
            self.failed.append(what)
        else:
            say(f"{what}: passed")
            self.passed += 1

    def end(self):
        if self.failed:
            print("failed:\n  " + "\n  ".join(self.failed))
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0


def check_mails():
    done = script("proof/series/check-mails.sh", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                  errors="replace")
    return complaint(done) if done.returncode else []


def prepare():
    for name, *args in (("harness/base/setup.sh", "gcc-aarch64-linux-gnu"), ("proof/lint/sparse.sh",)):
        if script(name, *args).returncode:
            return False
    return True


def series(which):
    if not (BUILD / "tree/.git").is_dir():
        raise Failure("there is no build/tree (make tree makes it)")
    git = Git(BUILD / "tree")
    every = commits(git)
    wanted = chosen(which, every)
    if not prepare():
        return 1
    report = Report()
    for commit in wanted:
        say(f"{commit.number:02} {commit.subject}")
        for name, check in checks(git, commit):
            report.tell(f"{commit.number:02} {name}", check())
    if not which or which.endswith("-"):
        report.tell("mails", check_mails())
    return report.end()


def main():
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    os.environ.setdefault("EVENTQ_START", str(int(time.time())))
    try:
        return series(sys.argv[1] if len(sys.argv) > 1 else None)
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        return f"error: {problem}"


if __name__ == "__main__":
    sys.exit(main())
