# SPDX-License-Identifier: GPL-2.0
"""What a mutant is, how the lists beside are read, and how one gets into the
sources and out of them again. How the lists are written stands in README."""
import fnmatch
import os
from dataclasses import dataclass, field
from pathlib import Path

from boot import BUILD

LISTS = Path(os.environ.get("EVENTQ_MUTANTS") or Path(__file__).resolve().parent)
SOURCE = BUILD / "mutants"
# Each mutant has a kernel of its own
BUILTIN = ("builtin", "smmuv3")
KERNELS = ("plain", "debug", *BUILTIN)
SIGNS = ("case", "timeout", "splat", "leak")


class Wrong(Exception):
    """A list, or what it refers to, is not as it should be."""


@dataclass
class Mutant:
    name: str
    where: str
    why: str = ""
    test: tuple = ()
    kernel: str = "plain"
    sign: str = "case"
    alone: str = ""
    times: int = 1
    hunks: list = field(default_factory=list)   # (file, [lines])

    def defect(self):
        return self.name.split("-")[0] if self.name[0].isupper() else ""

    def counts(self):
        """Is it one that only the number of instructions shows?"""
        return self.test[0] == "bench"

    def shares(self):
        """Can others run in its boot? Leaks show at its end only, and who
        damages memory lets others fail."""
        return self.sign == "case" and not self.alone and not self.counts()

    def check(self):
        if not (self.why and len(self.test) == 2 and self.hunks):
            raise Wrong(f"{self.where}: {self.name} lacks its why, test or file")
        if self.kernel not in KERNELS or self.sign not in SIGNS:
            raise Wrong(f"{self.where}: {self.name}: no such kernel or sign")
        if self.kernel in BUILTIN and (self.sign not in ("case", "splat") or self.times > 1):
            raise Wrong(f"{self.where}: {self.name}: in a kernel of its own it shows at once")
        if self.kernel == "smmuv3" and self.test[1].count(".") != 2:
            raise Wrong(f"{self.where}: {self.name}: on arm64 a case is smmuv3.x.y")
        if self.sign == "leak":
            self.kernel = "debug"


# ---- the lists

def parse(path):
    mutants = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}"
        if mutants and mutants[-1].hunks and line[:1] in "-+ " and line:
            mutants[-1].hunks[-1][1].append(line)
        elif line and not line.startswith("#"):
            parse_field(mutants, where, *line.partition(" ")[::2])
    for mutant in mutants:
        mutant.check()
    return mutants


def parse_field(mutants, where, key, value):
    value = value.strip()
    if key == "mutant":
        mutants.append(Mutant(value, where))
    elif not mutants:
        raise Wrong(f"{where}: {key} before the first mutant")
    elif key == "file":
        mutants[-1].hunks.append((value, []))
    elif key == "@@" and mutants[-1].hunks:
        mutants[-1].hunks.append((mutants[-1].hunks[-1][0], []))
    elif key == "test":
        mutants[-1].test = tuple(value.split())
    elif key == "times":
        mutants[-1].times = int(value)
    elif key in ("why", "kernel", "sign", "alone"):
        setattr(mutants[-1], key, value)
    else:
        raise Wrong(f"{where}: what is {key}?")


def read_lists():
    mutants = [m for path in sorted(LISTS.glob("*.mutants")) for m in parse(path)]
    names = [m.name for m in mutants]
    for name in names:
        if names.count(name) > 1:
            raise Wrong(f"there are two mutants {name}")
    check_defects({m.name: m for m in mutants})
    return mutants


def check_defects(mutants):
    """Each line of the table of defects names a mutant, and that mutant's test."""
    table = LISTS / "defects.list"
    for line in table.read_text().splitlines() if table.exists() else []:
        words = line.partition("#")[0].split()
        # Not all of them can be told by a case of a test.
        if not words or words[-1] == "-":
            continue
        defect, program, case, name = words
        if name not in mutants or mutants[name].defect() != defect:
            raise Wrong(f"defects.list: {defect} has no mutant {name}")
        if mutants[name].test != (program, case):
            raise Wrong(f"defects.list: {name} is not proven by {program} {case}")


def chosen(mutants, name):
    picked = [m for m in mutants if not name or name == m.defect() or fnmatch.fnmatch(m.name, name)
              or m.where.startswith(name + ".mutants:")]
    if not picked:
        raise Wrong(f"there is no mutant {name}")
    return picked


# ---- the sources

def texts(mutant, source):
    """Its files, by their path, as they are and as the mutant has them."""
    before, after = {}, {}
    for file, lines in mutant.hunks:
        path = source / file
        if not path.is_file():
            raise Wrong(f"{mutant.where}: {mutant.name}: there is no {file}")
        text = after.get(path) or path.read_text()
        before.setdefault(path, text)
        old, new = ("".join(line[1:] + "\n" for line in lines if line[0] != skip)
                    for skip in "+-")
        if not old or text.count(old) != 1:
            raise Wrong(f"{mutant.where}: {mutant.name}: its lines are in {file} "
                        f"{text.count(old) if old else 0} times")
        after[path] = text.replace(old, new)
    return before, after


def change(mutant):
    """Puts the mutant into the sources; returns what to put back."""
    before, after = texts(mutant, SOURCE)
    restore(after)
    return before


def restore(before):
    """Never in place: other folders may have the same file by a hard link."""
    for path, text in before.items():
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.replace(path)


def fit(mutants, source):
    """Prints those that the code has outgrown."""
    for mutant in mutants:
        try:
            texts(mutant, source)
        except Wrong as problem:
            print(f"proof/mutants/{problem}")


def first_error(text):
    """Why it does not build, of all that the compiler said"""
    lines = [line for line in text.splitlines() if "error" in line.lower()]
    return (lines or text.splitlines() or ["no reason given"])[0].strip()
