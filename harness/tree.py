#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes build/tree, a git tree with the pristine base as its first commit and
one commit per file of series/, and mails it out as patches. The format of a
file of series/ is told in series_format() below and known nowhere else.

usage: tree.py tree|series
"""
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gitpack import Pack

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("EVENTQ_BUILD") or ROOT / "build")
SERIES = Path(os.environ.get("EVENTQ_SERIES") or ROOT / "series")
OVERLAY = Path(os.environ.get("EVENTQ_OVERLAY") or ROOT)
OVERLAY_DIRS = ("drivers", "include", "Documentation", "tools", "samples", "scripts")
BASE, TREE = BUILD / "base", BUILD / "tree"
# The imported base waits under this name until the first series applied.
FRESH = BUILD / "tree.base"
IDENTITY = ("iommufd eventq series", "series@localhost")
# Commits depend on nothing but their content: so have a fixed date, too.
EPOCH, STEP_SECONDS = 1767225600, 60


class Failure(Exception):
    """One line for the user."""


class Git:
    """The git of one work tree, deaf to the user's configuration."""

    def __init__(self, top):
        self.top = top
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.env.update(GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1",
                        GIT_DIR=str(top / ".git"), GIT_WORK_TREE=str(top))
        self.options = ["-c", "core.fsync=none", "-c", "core.looseCompression=1",
                        "-c", "gc.auto=0", "-c", "apply.whitespace=nowarn"]

    def run(self, *args, data=None, check=True, **env):
        done = subprocess.run(["git", *self.options, *map(str, args)], input=data, cwd=self.top,
                              env={**self.env, **env}, capture_output=True, check=False)
        if check and done.returncode:
            raise Failure(f"git {args[0]}: {first_error(done.stderr)}")
        return done

    def out(self, *args, **kw):
        return self.run(*args, **kw).stdout.decode().strip()


def first_error(stderr):
    lines = [x for x in stderr.decode(errors="replace").splitlines() if x.strip()]
    errors = [x for x in lines if x.startswith(("error:", "fatal:")) and "searching for" not in x]
    return (errors or lines or ["failed"])[0].partition(": ")[2]


def say(text):
    start = int(os.environ.get("EVENTQ_START") or time.time())
    print(f"[{int(time.time()) - start:4d} s] {text}", flush=True)


# ---- the base as the first commit

def base_paths():
    """Every file of the base with its mode, sorted by path."""
    found = []
    for top, dirs, names in os.walk(BASE):
        links = [n for n in dirs if os.path.islink(os.path.join(top, n))]
        found += [os.path.relpath(os.path.join(top, n), BASE) for n in names + links]
    for rel in sorted(found):
        mode = os.lstat(BASE / rel).st_mode
        yield rel, "120000" if stat.S_ISLNK(mode) else "100755" if mode & 0o100 else "100644"


def store_files(folder, name, entries):
    """Stores files of the base in a pack and returns lines for update-index."""
    pack = Pack(folder, name)
    lines = []
    for rel, mode in entries:
        path = BASE / rel
        data = os.fsencode(os.readlink(path)) if mode == "120000" else path.read_bytes()
        lines.append(f"{mode} {pack.add(data)}\t".encode() + os.fsencode(rel) + b"\0")
    pack.end()
    return lines


def base_index(git):
    """Stores the base, on every CPU a part of it."""
    folder, cpus = git.top / ".git/objects/pack", os.cpu_count() or 1
    entries = list(base_paths())
    size = -(-len(entries) // cpus)
    with ProcessPoolExecutor(cpus) as pool:
        parts = [pool.submit(store_files, folder, str(i), entries[i * size:(i + 1) * size])
                 for i in range(-(-len(entries) // size))]
        return b"".join(line for part in parts for line in part.result())


def commit_base(git, origin):
    git.run("init", "-q", "-b", "series")
    git.run("update-index", "-z", "--index-info", data=base_index(git))
    commit = make_commit(git, git.out("write-tree"), None, "base\n\n" + origin, 0, IDENTITY)
    git.run("update-ref", "refs/heads/base", commit)
    git.run("reset", "-q", "--hard", commit)
    (git.top / ".git" / "eventq-base").write_text(origin)


def import_base(origin):
    """Makes a git tree of build/base; it appears whole or not at all."""
    say("making the base the first commit of build/tree")
    new = BUILD / "tree.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        commit_base(Git(new), origin)
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        shutil.rmtree(new, ignore_errors=True)
        raise Failure(f"cannot import build/base into git (disk full?): {problem}") from None
    shutil.rmtree(FRESH, ignore_errors=True)
    new.rename(FRESH)


def make_commit(git, tree, parent, message, number, identity):
    date = f"{EPOCH + number * STEP_SECONDS} +0000"
    name, mail = identity
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
           for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))}
    parents = ["-p", parent] if parent else []
    return git.out("commit-tree", tree, *parents, data=message.encode(), **who)


# ---- one step of the series

def series_format(path):
    """A step is a commit message, in it lines `Rename: old new`, `Remove: path`
    and `Add: path` (copied whole from this repository), then a line `---` and
    a diff; without a diff the line may be missing. The directives are carried
    out in this order of kinds, the diff after them, on the result. A file that
    later steps change, too, is added without what they change."""
    text = path.read_text()
    head, _, diff = text.partition("\n---\n")
    message, directives = [], {"Rename": [], "Remove": [], "Add": []}
    for line in head.splitlines():
        match = re.fullmatch(r"(Rename|Remove|Add):\s+(.*\S)\s*", line)
        if match:
            directives[match[1]].append(match[2].split())
        else:
            message.append(line)
    message = "\n".join(message).strip() + "\n"
    if not message.strip():
        raise Failure(f"series/{path.name}: no commit message")
    return message, directives, diff


class Step:
    """Carries out one file of series/ on the index that `env` names."""

    def __init__(self, git, env, path):
        self.git, self.env, self.name = git, env, f"series/{path.name}"
        self.message, self.directives, self.diff = series_format(path)
        self.later = []

    def fail(self, text):
        raise Failure(f"{self.name}: {text}")

    def entry(self, path):
        """Mode and blob of a path in the index, or None."""
        found = self.git.out("ls-files", "-s", "--", path, **self.env).split("\t")[0].split()
        return found[:2] if found else None

    def index(self, mode, blob, path):
        self.git.run("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", **self.env)

    def rename(self, old, new):
        entry = self.entry(old) or self.fail(f"Rename: the tree has no {old}")
        if self.entry(new):
            self.fail(f"Rename: the tree has a {new} already")
        self.remove(old)
        self.index(*entry, new)

    def remove(self, path):
        if not self.entry(path):
            self.fail(f"Remove: the tree has no {path}")
        self.git.run("update-index", "--force-remove", path, **self.env)

    def add(self, path):
        source = OVERLAY / path
        if not path.startswith(tuple(d + "/" for d in OVERLAY_DIRS)) or ".." in path.split("/"):
            self.fail(f"Add: {path} is in none of {', '.join(OVERLAY_DIRS)}")
        if not source.is_file():
            self.fail(f"Add: there is no file {path} to add")
        if self.entry(path):
            self.fail(f"Add: the tree has a {path} already (Remove: or Rename: it first)")
        blob = self.git.out("hash-object", "-w", "--no-filters", source)
        self.index("100755" if os.access(source, os.X_OK) else "100644", blob, path)
        for step in reversed(self.later):
            if any(old == path for old, _ in diff_files(step.diff)):
                step.apply_diff("--reverse", f"--include={path}")

    def check_anchors(self):
        """Git puts a hunk that only adds and has no context wherever its line
        number says: on another base it would land anywhere, without a word."""
        for old, hunks in diff_files(self.diff):
            for head, lines in hunks:
                if old and not any(x[:1] in " -" for x in lines):
                    self.fail(f"hunk {head} of {old} needs a line of context")

    def check_offsets(self, log, side):
        """A hunk may apply at another line only if that place is the only one."""
        moved = re.findall(r"Hunk #(\d+) succeeded", log)
        if not moved:
            return
        for old, hunks in diff_files(self.diff):
            text = self.git.run("show", f":{old}", check=False, **self.env).stdout.decode()
            for head, lines in hunks:
                before = "".join(x[1:] for x in lines if x[:1] in " " + side)
                if text.count(before) > 1 and not at_line(text, before, head, side):
                    self.fail(f"hunk {head} of {old} fits in several places, give it more context")

    def apply(self):
        for pair in self.directives["Rename"]:
            if len(pair) != 2:
                self.fail("Rename: takes two paths")
            self.rename(*pair)
        for kind, action in (("Remove", self.remove), ("Add", self.add)):
            for words in self.directives[kind]:
                if len(words) != 1:
                    self.fail(f"{kind}: takes one path")
                action(words[0])
        if self.diff.strip():
            self.apply_diff()

    def apply_diff(self, *how):
        self.check_anchors()
        options = ["--cached", "--unidiff-zero", "--verbose", *how, "-"]
        done = self.git.run("apply", "--check", *options, data=self.diff.encode(), check=False,
                            **self.env)
        if done.returncode:
            self.fail(f"the diff does not apply: {first_error(done.stderr)}")
        self.check_offsets(done.stderr.decode(errors="replace"), "+" if how else "-")
        self.git.run("apply", *options, data=self.diff.encode(), **self.env)


def diff_files(diff):
    """Yields, per file of a diff, its old path ('' if new) and its hunks, each
    the header and the lines."""
    old, hunks = None, []
    for line in diff.splitlines(keepends=True):
        if line.startswith("--- ") and (not hunks or line.startswith(("--- a/", "--- /dev/null"))):
            if old is not None:
                yield old, hunks
            name = line[4:].split("\t")[0].strip()
            old, hunks = "" if name == "/dev/null" else name.partition("/")[2], []
        elif line.startswith("@@"):
            hunks.append((line.split("@@")[1].strip(), []))
        elif hunks and line[:1] in " +-" and not line.startswith(("+++ b/", "+++ /dev/null")):
            hunks[-1][1].append(line)
        elif hunks and line == "\n":
            hunks[-1][1].append(" \n")
    if old is not None:
        yield old, hunks


def at_line(text, before, head, side):
    """Is `before` at the line that the hunk's header names for that side?"""
    start = int(re.search(rf"\{side}(\d+)", head)[1]) - 1
    return "".join(text.splitlines(keepends=True)[start:]).startswith(before)


# ---- the whole series

def steps():
    found = sorted(SERIES.glob("*.patch"))
    for path in found:
        if not re.match(r"\d\d-", path.name):
            raise Failure(f"series/{path.name}: a step is named NN-name.patch")
    return found


def overlay_files():
    """The files of this repository that belong into the tree."""
    listed = subprocess.run(["git", "-C", str(OVERLAY), "ls-files", "-co", "--exclude-standard",
                             "--", *OVERLAY_DIRS], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (OVERLAY / ".git").exists():
        names = set(listed.stdout.splitlines())
    else:
        names = {str(p.relative_to(OVERLAY)) for d in OVERLAY_DIRS for p in (OVERLAY / d).rglob("*")}
    return {n for n in names if (OVERLAY / n).is_file()}


def commit_series(git, identity):
    """Makes the commits, touching neither work tree nor branch: returns the last."""
    # Split: hundreds of changes, and none of them writes all of the base's names.
    env = {"GIT_INDEX_FILE": str(git.top / ".git" / "eventq-index"), "GIT_CONFIG_COUNT": "2",
           "GIT_CONFIG_KEY_0": "core.splitIndex", "GIT_CONFIG_VALUE_0": "true",
           "GIT_CONFIG_KEY_1": "splitIndex.maxPercentChange", "GIT_CONFIG_VALUE_1": "100"}
    commit = git.out("rev-parse", "refs/heads/base")
    git.run("read-tree", commit, **env)
    tree = git.out("write-tree", **env)
    added = set()
    todo = [Step(git, env, path) for path in steps()]
    for number, step in enumerate(todo, 1):
        step.later = todo[number:]
        step.apply()
        before, tree = tree, git.out("write-tree", **env)
        if tree == before:
            step.fail("changes nothing")
        commit = make_commit(git, tree, commit, step.message, number, identity)
        added |= {words[0] for words in step.directives["Add"]}
    forgotten = sorted(overlay_files() - added)
    if forgotten and steps():
        raise Failure(f"no step of series/ adds {forgotten[0]}")
    return commit


def check_unchanged(git):
    changed = git.out("status", "--porcelain", "-uno").splitlines()
    if changed:
        raise Failure(f"build/tree has changes of its own ({changed[0].split()[-1]}): put them into a "
                      "step (make refresh STEP=05), or drop them (git -C build/tree reset --hard)")


def update_tree(git, commit):
    """Moves build/tree to the commit; untouched files keep their times, so that
    kernel builds stay incremental. The marker tells the next run of a cut."""
    marker = git.top / ".git" / "eventq-updating"
    if marker.exists():
        (git.top / ".git" / "index.lock").unlink(missing_ok=True)
    else:
        check_unchanged(git)
    if marker.exists() or git.out("rev-parse", "HEAD") != commit:
        marker.touch()
        git.run("symbolic-ref", "HEAD", "refs/heads/series")
        git.run("reset", "-q", "--hard", commit)
        marker.unlink()


def is_from(tree, origin):
    known = tree / ".git" / "eventq-base"
    return known.exists() and known.read_text() == origin


def replace_tree():
    """Puts the fresh tree, with the series in it, in the place of an old one."""
    old = BUILD / "tree.old"
    shutil.rmtree(old, ignore_errors=True)
    if TREE.exists():
        TREE.rename(old)
    FRESH.rename(TREE)
    shutil.rmtree(old, ignore_errors=True)


def make_tree():
    origin = (BUILD / "base.from").read_text().strip()
    if is_from(TREE, origin):
        update_tree(Git(TREE), commit_series(Git(TREE), IDENTITY))
    else:
        if (TREE / ".git").exists():
            check_unchanged(Git(TREE))
        if not is_from(FRESH, origin):
            import_base(origin)
        update_tree(Git(FRESH), commit_series(Git(FRESH), IDENTITY))
        replace_tree()
    say(f"build/tree: the base and {len(steps())} steps")


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
        {"tree": make_tree, "series": make_series}[sys.argv[1]]()
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
