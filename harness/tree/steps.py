# SPDX-License-Identifier: GPL-2.0
"""The files of series/ and the commits they make. The format of such a file is
told in series_format() below and known nowhere else. Nothing here knows of a
work tree: commits are made in git's database only.
"""
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(os.environ.get("EVENTQ_ROOT") or Path(__file__).resolve().parents[2])
BUILD = Path(os.environ.get("EVENTQ_BUILD") or ROOT / "build")
SERIES = Path(os.environ.get("EVENTQ_SERIES") or ROOT / "series")
OVERLAY = Path(os.environ.get("EVENTQ_OVERLAY") or ROOT)
OVERLAY_DIRS = ("drivers", "include", "Documentation", "tools", "samples")
BASE = BUILD / "base"
EDITED = "drivers/iommu"
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
                        "-c", "apply.whitespace=nowarn"]

    def run(self, *args, data=None, check=True, **env):
        done = subprocess.run(["git", *self.options, *map(str, args)], input=data, cwd=self.top,
                              env={**self.env, **env}, capture_output=True, check=False)
        if check and done.returncode:
            raise Failure(f"git {args[0]}: {first_error(done.stderr)}")
        return done

    def out(self, *args, **kw):
        return self.run(*args, **kw).stdout.decode().strip()

    def names(self, *args):
        return {x for x in self.run(*args, "-z").stdout.decode().split("\0") if x}


def first_error(stderr):
    lines = [x for x in stderr.decode(errors="replace").splitlines() if x.strip()]
    errors = [x for x in lines if x.startswith(("error:", "fatal:")) and "searching for" not in x]
    return (errors or lines or ["failed"])[0].partition(": ")[2]


# ---- diffs

class Hunk(NamedTuple):
    head: str
    lines: list


class FileDiff(NamedTuple):
    """The diff of one file: its paths, '' where there is none."""
    old: str
    new: str
    hunks: list
    text: list

    @property
    def path(self):
        return self.old or self.new


def parse_diff(diff):
    """The files of a diff. What is no hunk belongs to the file that follows."""
    found, between, left = [], [], [0, 0]
    for line in diff.splitlines(keepends=True):
        if any(left) or line.startswith("\\"):
            found[-1].text.append(line)
            if line[:1] != "\\":
                found[-1].hunks[-1].lines.append(" \n" if line == "\n" else line)
            left[0] -= line[:1] in " -\n"
            left[1] -= line[:1] in " +\n"
        elif match := re.match(r"@@ (-\d+(?:,(\d+))? \+\d+(?:,(\d+))?) @@", line):
            if between:
                old, new = (re.search(rf"^{mark} (?:/dev/null|\w/(\S+))", "".join(between), re.M)
                            for mark in (r"---", r"\+\+\+"))
                if not (old and new):
                    raise Failure(f"hunk {match[1]} of no file")
                found.append(FileDiff(old[1] or "", new[1] or "", [], between))
                between = []
            found[-1].text.append(line)
            found[-1].hunks.append(Hunk(match[1], []))
            left = [int(n or 1) for n in match.groups()[1:]]
        else:
            between.append(line)
    return found


def at_line(text, before, head, side):
    """Is `before` at the line that the hunk's header names for that side?"""
    start = int(re.search(rf"\{side}(\d+)", head)[1]) - 1
    return "".join(text.splitlines(keepends=True)[start:]).startswith(before)


# ---- one step of the series

def series_format(path):
    """A step is a commit message, in it lines `Rename: old new`, `Remove: path`
    and `Add: path` (copied whole from this repository), then a line `---` and
    a diff; without a diff the line may be missing. The directives are carried
    out in this order of kinds, the diff after them, on the result. A file that
    later steps change, too, is added without what they change. Where the diff of
    a file does not fit on another base, say 7.2, NN-name.7.2.diff has the one
    that is taken there in its place."""
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


def steps():
    found = sorted(SERIES.glob("*.patch"))
    for path in found:
        if not re.match(r"\d\d-", path.name):
            raise Failure(f"series/{path.name}: a step is named NN-name.patch")
    for variant in SERIES.glob("*.diff"):
        match = re.fullmatch(r"(.*)\.\d+\.\d+\.diff", variant.name)
        if not match or not variant.with_name(f"{match[1]}.patch").exists():
            raise Failure(f"series/{variant.name}: a variant is named NN-name.7.2.diff, after a step")
    return found


def base_version():
    text = (BASE / "Makefile").read_text()
    return ".".join(re.search(rf"^{key} = (\d+)", text, re.M)[1] for key in ("VERSION", "PATCHLEVEL"))


class Step:
    """Carries out one file of series/ on the index that `env` names."""

    def __init__(self, git, env, path):
        self.git, self.env, self.name = git, env, f"series/{path.name}"
        self.message, self.directives, diff = series_format(path)
        self.files = parse_diff(diff)
        for variant in sorted(path.parent.glob(f"{path.stem}.[0-9]*.diff")):
            self.vary(variant, variant.name == f"{path.stem}.{base_version()}.diff")
        self.later = []

    def vary(self, variant, wanted):
        own = [f.path for f in self.files]
        for changed in parse_diff(variant.read_text()):
            if own.count(changed.path) != 1:
                raise Failure(f"series/{variant.name}: the step has no diff of {changed.path}")
            if wanted:
                self.files[own.index(changed.path)] = changed

    def touched(self):
        return {p for kind in self.directives.values() for words in kind for p in words} \
            | {p for f in self.files for p in (f.old, f.new) if p}

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
            step.apply_diff([f for f in step.files if f.old == path], "--reverse")

    def check_anchors(self, files):
        """Git puts a hunk that only adds and has no context wherever its line
        number says: on another base it would land anywhere, without a word."""
        for file in files:
            for head, lines in file.hunks:
                if file.old and not any(x[:1] in " -" for x in lines):
                    self.fail(f"hunk {head} of {file.old} needs a line of context")

    def check_offsets(self, files, log, side):
        """A hunk may apply at another line only if that place is the only one."""
        if not re.search(r"Hunk #\d+ succeeded", log):
            return
        for file in files:
            text = self.git.run("show", f":{file.old}", check=False, **self.env).stdout.decode()
            for head, lines in file.hunks:
                before = "".join(x[1:] for x in lines if x[:1] in " " + side)
                if text.count(before) > 1 and not at_line(text, before, head, side):
                    self.fail(f"hunk {head} of {file.old} fits in several places, give it more context")

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
        self.apply_diff(self.files)

    def apply_diff(self, files, *how):
        if not files:
            return
        self.check_anchors(files)
        diff = "".join(line for f in files for line in f.text).encode()
        options = ["--cached", "--unidiff-zero", "--verbose", *how, "-"]
        done = self.git.run("apply", "--check", *options, data=diff, check=False, **self.env)
        if done.returncode:
            self.fail(f"the diff does not apply: {first_error(done.stderr)}")
        self.check_offsets(files, done.stderr.decode(errors="replace"), "+" if how else "-")
        self.git.run("apply", *options, data=diff, **self.env)


# ---- the whole series

def overlay_files():
    """The files of this repository that belong into the tree."""
    listed = subprocess.run(["git", "-C", str(OVERLAY), "ls-files", "-co", "--exclude-standard",
                             "--", *OVERLAY_DIRS], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (OVERLAY / ".git").exists():
        names = set(listed.stdout.splitlines())
    else:
        names = {str(p.relative_to(OVERLAY)) for d in OVERLAY_DIRS for p in (OVERLAY / d).rglob("*")}
    return {n for n in names if (OVERLAY / n).is_file()}


def files_of(folder):
    """The base's, without what is in folders below"""
    with os.scandir(BASE / folder) as found:
        return [os.path.join(folder, f.name) for f in found if f.is_file(follow_symlinks=False)]


def folders():
    """The folders of which git knows the files: where people work."""
    touched = set().union(*(Step(None, None, path).touched() for path in steps()))
    below = {os.path.relpath(top, BASE) for top, _, _ in os.walk(BASE / EDITED)}
    return sorted(f for f in below | {os.path.dirname(p) for p in touched} if (BASE / f).is_dir())


def make_commit(git, tree, parent, message, number, identity):
    date = f"{EPOCH + number * STEP_SECONDS} +0000"
    name, mail = identity
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
           for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))}
    parents = ["-p", parent] if parent else []
    return git.out("commit-tree", tree, *parents, data=message.encode(), **who)


def index_base(git, env):
    names = [n for folder in folders() for n in files_of(folder)]
    blobs = git.out("hash-object", "-w", "--no-filters", "--stdin-paths",
                    data="".join(f"{BASE / n}\n" for n in names).encode()).split()
    git.run("update-index", "--index-info", **env, data="".join(
        f"{'100755' if os.access(BASE / n, os.X_OK) else '100644'} {b}\t{n}\n"
        for n, b in zip(names, blobs)).encode())


def commit_series(git, identity):
    """Makes the commits, touching neither work tree nor branch: returns the last."""
    env = {"GIT_INDEX_FILE": str(git.top / ".git" / "eventq-index")}
    git.run("read-tree", "--empty", **env)
    index_base(git, env)
    tree = git.out("write-tree", **env)
    origin = (BUILD / "base.from").read_text()
    commit = make_commit(git, tree, None, f"base\n\n{origin}", 0, IDENTITY)
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
