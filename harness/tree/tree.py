#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes the folders that kernels are built from. Such a folder has the files of
build/base as hard links, but for those that people edit: folders in which the
series touches a file, and drivers/iommu with all below it, are copied. Git knows
only the files that the series touches; it unlinks before it writes, and so does
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
    overlay_files, steps, touched

TREE = BUILD / "tree"
COPIED = "drivers/iommu"
# What editors and tools leave beside the files that they read
LITTER = re.compile(r"(^|/)(\.[^/]*|[^/]*(~|\.(orig|rej|pyc|o)))$")


def say(text):
    start = int(os.environ.get("EVENTQ_START") or time.time())
    print(f"[{int(time.time()) - start:4d} s] {text}", flush=True)


# ---- a folder of shared files

def origin():
    """What the base is, and which unpacking of it."""
    path = BUILD / "base.from"
    return f"{path.read_text()}{path.stat().st_mtime_ns}\n"


def is_from_base(top):
    known = top / ".git/eventq-shares"
    return known.exists() and known.read_text() == origin()


def copied_folders():
    below = {os.path.relpath(top, BASE) for top, _, _ in os.walk(BASE / COPIED)}
    return sorted(f for f in below | {os.path.dirname(p) for p in touched()} if (BASE / f).is_dir())


def copy_file(top, name, keep_time):
    """Puts a copy of the base's file into the folder, in one go. Without its time
    make sees that the file is another one now."""
    new = top / ".git/eventq-copy"
    new.unlink(missing_ok=True)
    (shutil.copy2 if keep_time else shutil.copy)(BASE / name, new)
    new.chmod(new.stat().st_mode | 0o200)
    (top / name).parent.mkdir(parents=True, exist_ok=True)
    new.replace(top / name)


def files_of(folder):
    with os.scandir(folder) as found:
        return {f.name: f for f in found if f.is_file(follow_symlinks=False)}


def copy_folders(top):
    """Makes the files of copied folders the folder's own."""
    for folder in copied_folders():
        mine = files_of(top / folder) if (top / folder).is_dir() else {}
        for name, file in files_of(BASE / folder).items():
            if name in mine and mine[name].inode() == file.inode():
                copy_file(top, os.path.join(folder, name), True)


def remove(top, name):
    (top / name).unlink(missing_ok=True)
    for parent in Path(name).parents:
        if (BASE / parent).exists() or not (top / parent).is_dir() or any((top / parent).iterdir()):
            break
        (top / parent).rmdir()


def same_file(one, other):
    if not one.is_file():
        return False
    a, b = one.stat(), other.stat()
    return a.st_size == b.st_size and \
        (a.st_mtime_ns == b.st_mtime_ns or filecmp.cmp(one, other, shallow=False))


def root_names(git, commit):
    """The base's files that git knows in a series of commits."""
    first = git.run("rev-list", "--max-parents=0", commit, check=False).stdout.decode().strip()
    return git.names("ls-tree", "-r", "--name-only", first) if first else set()


def known(git):
    """The files that git has put into the folder, or removed from it."""
    return git.names("ls-files") | root_names(git, "HEAD")


def edited(git):
    """The files that are not the base's, or gone, and that git does not know. A
    file that is shared still, but newer than the base, was written in place."""
    top, tracked = git.top, known(git)
    found = subprocess.run(["find", top, "-path", top / ".git", "-prune", "-o", "-type", "f",
                            "(", "-links", "1", "-o", "-newer", BUILD / "base.from", ")", "-printf",
                            r"%n %P\0"], check=True, stdout=subprocess.PIPE, text=True).stdout
    names = set()
    for links, _, name in (x.partition(" ") for x in found.split("\0") if x):
        if links != "1":
            raise Failure(f"{BASE / name} was written to through its hard link {top / name}: copy it "
                          f"away, remove {BUILD / 'base.from'} and run `make tree`")
        if name not in tracked and not ((BASE / name).is_file() and same_file(BASE / name, top / name)):
            names.add(name)
    for folder in copied_folders():
        mine = files_of(top / folder) if (top / folder).is_dir() else {}
        names |= {os.path.normpath(os.path.join(folder, n))
                  for n in files_of(BASE / folder).keys() - mine.keys()} - tracked
    return names


def changes(git):
    """What was changed in build/tree, and what is new there in a copied folder. Of
    a tree of another base only git can say what was changed."""
    names = edited(git) if is_from_base(git.top) else set()
    new = {n for n in names if not (BASE / n).is_file()}
    folders = {f for f in copied_folders() if f}
    return git.names("diff", "--name-only", "HEAD") | names - new, \
        {n for n in new if os.path.dirname(n) in folders and not LITTER.search(n)}


def check_unchanged(git):
    for name in sorted(changes(git)[0]):
        raise Failure(f"build/tree has changes of its own ({name}): put them into a step (make refresh "
                      f"STEP=05), or drop them (cp build/base/{name} build/tree/{name}, or git -C "
                      "build/tree reset --hard)")


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


def share(git):
    subprocess.run(["cp", "-al", f"{BASE}/.", git.top], check=True)
    (git.top / ".git/eventq-shares").write_text(origin())


def put_in_place(git, top):
    old = top.with_name(top.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if top.exists():
        top.rename(old)
    git.top.rename(top)
    shutil.rmtree(old, ignore_errors=True)


def checkout(git, commit, *, branch=None):
    """Makes the folder's files those of the commit; the others are the base's. What
    is right already keeps its time, so that kernel builds stay incremental. The
    marker tells the next run that this one was killed."""
    top = git.top
    marker = top / ".git/eventq-updating"
    marker.touch()
    (top / ".git/index.lock").unlink(missing_ok=True)
    wanted = git.names("ls-tree", "-r", "--name-only", commit)
    copy_folders(top)
    removed, before = root_names(git, commit) - wanted, known(git)
    for name in (before | removed | edited(git)) - wanted:
        if name in removed or name in before and not (BASE / name).is_file():
            remove(top, name)
        elif (BASE / name).is_file() and not same_file(top / name, BASE / name):
            copy_file(top, name, False)
    git.run("read-tree", commit)
    git.run("update-index", "-q", "--refresh", check=False)
    git.run("checkout-index", "-q", "-f", "-a", "-u")
    if branch:
        git.run("update-ref", f"refs/heads/{branch}", commit)
        git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    else:
        git.run("update-ref", "--no-deref", "HEAD", commit)
    marker.unlink()


# ---- build/tree

def digest():
    """Changes when anything does that build/tree is made of."""
    inputs = [p for f in (SERIES, Path(__file__).parent) for p in f.iterdir() if p.is_file()]
    inputs += [OVERLAY / n for n in overlay_files()]
    known = hashlib.sha1(origin().encode())
    for path in sorted(inputs):
        known.update(f"{path} {os.access(path, os.X_OK)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return known.hexdigest()


def update_tree(git, tip):
    made_of = digest()
    git.run("update-ref", "refs/heads/base", f"{tip}~{len(steps())}")
    checkout(git, tip, branch="series")
    (git.top / ".git/eventq-made").write_text(f"{made_of} {tip}")


def make_tree():
    git = Git(TREE)
    cut = (TREE / ".git/eventq-updating").exists()
    if (TREE / ".git").exists() and not cut:
        check_unchanged(git)
    if is_from_base(TREE):
        made = TREE / ".git/eventq-made"
        if cut or not made.exists() or made.read_text() != f"{digest()} {git.out('rev-parse', 'HEAD')}":
            update_tree(git, commit_series(git, IDENTITY))
    else:
        git = new_folder(TREE)
        tip = commit_series(git, IDENTITY)
        share(git)
        update_tree(git, tip)
        put_in_place(git, TREE)
    say(f"build/tree: the base and {len(steps())} steps")


def make_worktree(name, what):
    top = BUILD / name
    found = Git(TREE).run("rev-parse", "-q", "--verify", f"{what}^{{commit}}", check=False)
    if found.returncode:
        raise Failure(f"git cannot check {what} out into build/{name}")
    commit = found.stdout.decode().strip()
    if is_from_base(top):
        checkout(Git(top), commit)
        return
    git = new_folder(top, TREE / ".git/objects")
    share(git)
    checkout(git, commit)
    put_in_place(git, top)


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
