#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes the folders that kernels are built from. Such a folder has the files of
build/base as hard links, but for those that people edit: folders in which the
series touches a file, and drivers/iommu with all below it. Git knows all files of
these, which are copies, and no others; it unlinks before it writes, and so does
everything here. build/tree is the one with the series. Also mails the series.

usage: tree.py tree | series | worktree NAME base|series|COMMIT
"""
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from steps import BASE, BUILD, EPOCH, IDENTITY, OVERLAY, ROOT, SERIES, Failure, Git, commit_series, \
    files_of, folders, overlay_files, steps

TREE = BUILD / "tree"
# What editors and tools leave beside the files that they read
LITTER = re.compile(r"(^|/)(\.[^/]*|[^/]*(~|\.(orig|rej|pyc|o)))$")


def say(text):
    start = int(os.environ.get("EVENTQ_START") or time.time())
    print(f"[{int(time.time()) - start:4d} s] {text}", flush=True)


# ---- a folder of shared files

def shares():
    """Which base a folder shares the files of, and which it does not share."""
    path = BUILD / "base.from"
    return "\n".join([f"{path.read_text()}{path.stat().st_mtime_ns}", *folders()])


def is_whole(top):
    """Is it of this base, and was no update of it cut short?"""
    known = top / ".git/eventq-shares"
    return known.exists() and known.read_text() == shares() and not (top / ".git/eventq-updating").exists()


def new_folder(top, objects=None):
    """A git repository without a file; `objects`: of the one to borrow from."""
    new = top.with_name(top.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    git = Git(new)
    git.run("init", "-q", "-b", "series")
    for key, value in (("status.showUntrackedFiles", "no"), ("gc.auto", "0")):
        git.run("config", key, value)
    if objects:
        (new / ".git/objects/info/alternates").write_text(f"{objects}\n")
    return git


def checkout(git, commit):
    """Makes the folder's files those of the commit. What is right already keeps its
    time, so that kernel builds stay incremental."""
    updating = git.top / ".git/eventq-updating"
    updating.touch()
    git.run("read-tree", "--reset", "-u", commit)
    git.run("update-ref", "HEAD", commit)
    updating.unlink()


def fill(git, top, commit):
    """Puts the files of the base and of the commit into a new folder, and that into
    the place of the old one; what is as it was keeps its time, too."""
    subprocess.run(["cp", "-al", f"{BASE}/.", git.top], check=True)
    for name in (n for folder in folders() for n in files_of(folder)):
        (git.top / name).unlink()
    checkout(git, commit)
    for name in git.names("ls-files"):
        if (top / name).is_file() and filecmp.cmp(top / name, git.top / name, False):
            shutil.copystat(top / name, git.top / name)
    (git.top / ".git/eventq-shares").write_text(shares())
    old = top.with_name(top.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if top.exists():
        top.rename(old)
    git.top.rename(top)
    shutil.rmtree(old, ignore_errors=True)


def changes(git):
    """What was changed in build/tree, and what is new there in the folders that it
    does not share: files that git does not know, or that have become its own. Of a tree
    of another base only git can say what was changed."""
    changed = git.names("diff", "--name-only", "HEAD")
    if not is_whole(git.top):
        return changed, set()
    known = git.names("ls-files")
    own = subprocess.run(["find", ".", "-path", "./.git", "-prune", "-o", "-type", "f", "-links", "1",
                          "-printf", r"%P\0"], cwd=git.top, check=True, stdout=subprocess.PIPE, text=True)
    unknown = {n for n in own.stdout.split("\0") if n and n not in known}
    replaced = {n for n in unknown if (BASE / n).is_file() and not filecmp.cmp(BASE / n, git.top / n, False)}
    ours = folders()
    return changed | replaced, \
        {n for n in unknown if not (BASE / n).exists() and os.path.dirname(n) in ours and not LITTER.search(n)}


# ---- build/tree

def digest():
    """Changes when anything does that build/tree is made of."""
    inputs = [p for f in (SERIES, Path(__file__).parent) for p in f.iterdir() if p.is_file()]
    inputs += [OVERLAY / n for n in overlay_files()]
    known = hashlib.sha1(shares().encode())
    for path in sorted(inputs):
        known.update(f"{path} {os.access(path, os.X_OK)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return known.hexdigest()


def made(git):
    """What build/tree is made of, and the commit that this made."""
    return f"{digest()} {git.out('rev-parse', 'HEAD', check=False)}"


def update_tree(update=checkout, git=Git(TREE)):
    """Makes the commits, and by `update` the files of the last one."""
    tip = commit_series(git, IDENTITY)
    git.run("update-ref", "refs/heads/base", f"{tip}~{len(steps())}")
    update(git, tip)
    git = Git(TREE)
    (TREE / ".git/eventq-made").write_text(made(git))


def make_tree():
    git, mark = Git(TREE), TREE / ".git/eventq-made"
    whole = is_whole(TREE)
    if (TREE / ".git").exists() and not (TREE / ".git/eventq-updating").exists():
        for name in sorted(changes(git)[0]):
            raise Failure(f"build/tree has changes of its own ({name}): put them into a step (make refresh "
                          f"STEP=05), or drop them (cp build/base/{name} build/tree/{name}, or git -C "
                          "build/tree reset --hard)")
    if not whole:
        update_tree(lambda git, tip: fill(git, TREE, tip), new_folder(TREE))
    elif not mark.exists() or mark.read_text() != made(git):
        update_tree()
    say(f"build/tree: the base and {len(steps())} steps")


def make_worktree(name, what):
    top = BUILD / name
    found = Git(TREE).run("rev-parse", "-q", "--verify", f"{what}^{{commit}}", check=False)
    if found.returncode:
        raise Failure(f"git cannot check {what} out into build/{name}")
    commit = found.stdout.decode().strip()
    if is_whole(top):
        checkout(Git(top), commit)
    else:
        fill(new_folder(top, TREE / ".git/objects"), top, commit)


# ---- mail

def caller():
    """The user's own git identity."""
    who = [subprocess.run(["git", "-C", str(ROOT), "config", f"user.{key}"], text=True,
                          capture_output=True, check=False).stdout.strip()
           for key in ("name", "email")]
    if not all(who):
        raise Failure("SIGNOFF=1 needs your git identity (git config user.name, user.email)")
    return tuple(who)


def make_series():
    letter = SERIES / "cover-letter.txt"
    if not steps():
        raise Failure("series/ has no steps to mail")
    if not letter.is_file() or not letter.read_text().strip():
        raise Failure("series/cover-letter.txt is missing: first line the subject, then the text")
    subject, _, body = letter.read_text().strip().partition("\n")
    signoff = bool(os.environ.get("SIGNOFF"))
    identity = caller() if signoff else IDENTITY
    git = Git(TREE)
    new = BUILD / "series.new"
    shutil.rmtree(new, ignore_errors=True)
    who = {"GIT_COMMITTER_NAME": identity[0], "GIT_COMMITTER_EMAIL": identity[1],
           "GIT_COMMITTER_DATE": f"{EPOCH} +0000"}
    git.run("format-patch", "-q", "-M", "--cover-letter", "--no-signature", "--thread=shallow",
            *(["--signoff"] if signoff else []), "-o", new,
            f"refs/heads/base..{commit_series(git, identity)}", **who)
    cover = new / "0000-cover-letter.patch"
    text = cover.read_text()
    for mark, words in (("*** SUBJECT HERE ***", subject), ("*** BLURB HERE ***", body.strip())):
        if mark not in text:
            raise Failure(f"git format-patch made a cover letter without {mark}")
        text = text.replace(mark, words)
    cover.write_text(text)
    shutil.rmtree(BUILD / "series", ignore_errors=True)
    new.rename(BUILD / "series")
    say(f"build/series: {len(steps())} patches and a cover letter")


def main():
    try:
        {"tree": make_tree, "series": make_series, "worktree": make_worktree}[sys.argv[1]](*sys.argv[2:])
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
