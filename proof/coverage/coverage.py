#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots the gcov kernel with all tests, KUnit included, and says which lines and
branches of the event queues they ran. How gcov's numbers are read, what must be
covered, and the comparison with uncovered.list stand here.

Fails if fewer than 95 % of the lines ran, if one that did not is not in the list,
if one of the list did, or if a test failed, as what it ran says little then.
"""
import base64
import binascii
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import check
import tap
from boot import BUILD, KUNIT_PARAMETERS, OUT, Boot, is_late, say

FOLDER = "drivers/iommu/iommufd"
OBJECTS = ("eventq", "eventq_iopf", "eventq_viommu")
FILES = ("eventq.h", "eventq.c", "eventq_iopf.c", "eventq_viommu.c")
SOURCE = BUILD / "tree" / FOLDER
NOTES = OUT / "gcov" / FOLDER
REPORT = BUILD / "coverage.txt"
LIST = Path(__file__).with_name("uncovered.list")
LEAST = 95
# The guest's program that prints the counters
SENDER = "send-coverage"


class Failed(Exception):
    """There is nothing to report."""


# ---- what the guest sends

def unpack(lines, folder):
    """The .gcda files that send-coverage printed."""
    try:
        packed = base64.b64decode("".join(lines), validate=True)
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for name in OBJECTS:
                member = archive.extractfile(f"{name}.gcda")
                (folder / f"{name}.gcda").write_bytes(member.read())
    except (binascii.Error, tarfile.TarError, OSError, EOFError) as problem:
        raise Failed(f"the console's archive of counters is damaged: {problem}") from None
    except KeyError as problem:
        raise Failed(f"the guest sent no counters: {problem.args[0]}") from None


def gcov(name, folder):
    """What gcov says of one object, as a dict."""
    notes = NOTES / f"{name}.gcno"
    if not notes.exists():
        raise Failed(f"{notes} is missing: the kernel was not built to count")
    (folder / notes.name).write_bytes(notes.read_bytes())
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                           f"{name}.gcda"], cwd=folder, check=False, capture_output=True,
                          text=True)
    # It goes on without counters when they are of another build.
    if done.returncode or done.stderr.strip():
        raise Failed(f"gcov cannot read {name}.gcda: {' '.join(done.stderr.split())}")
    return json.loads(done.stdout)


# ---- numbers of each line

class Line:
    """How often it ran in the object in which it ran most, and each branch of
    it: an inline function's are counted in each place that it is compiled into."""

    def __init__(self):
        self.count, self.branches = 0, []

    def add(self, line):
        self.count = max(self.count, line["count"])
        self.branches += [branch["count"] for branch in line["branches"]]

    def taken(self):
        return sum(count > 0 for count in self.branches)


class Source:
    """One of our files, with the lines that gcov has numbers of."""

    def __init__(self, name):
        self.name, self.lines, self.functions = name, {}, {}
        self.text = (SOURCE / name).read_text().splitlines()

    def add(self, numbers):
        for line in numbers["lines"]:
            self.lines.setdefault(line["line_number"], Line()).add(line)
        for function in numbers["functions"]:
            name = function["name"]
            self.functions[name] = max(self.functions.get(name, 0), function["execution_count"])

    def at(self, number):
        """The text of a line, blanks made one."""
        return " ".join(self.text[number - 1].split())

    def uncovered(self):
        return [number for number, line in sorted(self.lines.items()) if not line.count]

    def totals(self):
        """Covered and all of: lines, branches, functions."""
        lines = self.lines.values()
        return (len(lines) - len(self.uncovered()), len(lines),
                sum(line.taken() for line in lines), sum(len(line.branches) for line in lines),
                sum(count > 0 for count in self.functions.values()), len(self.functions))


def collect(objects):
    """The files, out of what gcov said of the objects."""
    sources = {name: Source(name) for name in FILES}
    for numbers in objects:
        for file in numbers["files"]:
            path = Path(file["file"])
            if path.name in sources and path.parent.name in ("", "iommufd"):
                sources[path.name].add(file)
    for source in sources.values():
        if not source.lines:
            raise Failed(f"gcov says nothing of {source.name}")
    return list(sources.values())


# ---- what may stay uncovered

def read_list():
    """Lines `file  text  reason`, parted by two blanks: a reason each."""
    wanted = {}
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if not line.strip() or line[0] == "#":
            continue
        words = re.split(r" {2,}", line.strip(), maxsplit=2)
        if len(words) < 3:
            raise Failed(f"{LIST.name}: no file, text and reason, two blanks between: {line}")
        wanted.setdefault((words[0], words[1]), []).append(words[2])
    return wanted


def judge(sources):
    """Each uncovered line with its reason, and complaints about the list. A text
    that is there twice needs to be in the list twice."""
    wanted, listed, complaints = read_list(), [], []
    for source in sources:
        for number in source.uncovered():
            reasons = wanted.get((source.name, source.at(number)))
            where = f"{source.name}:{number}: {source.at(number)}"
            listed.append(f"{where}\n    {reasons.pop(0) if reasons else 'NO REASON'}")
            if listed[-1].endswith("NO REASON"):
                complaints.append(f"not covered, and not in {LIST.name}: {where}")
    complaints += [f"in {LIST.name}, and covered or gone: {file}: {text}"
                   for (file, text), reasons in wanted.items() for _ in reasons]
    return listed, complaints


# ---- the report

def percent(part, whole):
    return f"{part:4d} of {whole:4d}, {100 * part / whole if whole else 100:5.1f} %"


def table(sources):
    rows = [(source.name, source.totals()) for source in sources]
    rows.append(("total", [sum(column) for column in zip(*(totals for _, totals in rows))]))
    return [f"{name:16} lines {percent(*t[0:2])}  branches {percent(*t[2:4])}"
            f"  functions {percent(*t[4:6])}" for name, t in rows], rows[-1][1]


def untaken(source):
    """Lines that ran, with branches that did not."""
    return [f"{source.name}:{number}: {len(line.branches) - line.taken()} of"
            f" {len(line.branches)} not taken: {source.at(number)}"
            for number, line in sorted(source.lines.items())
            if line.count and line.taken() < len(line.branches)]


def report(sources):
    """Prints it; returns what is wrong."""
    listed, complaints = judge(sources)
    rows, total = table(sources)
    branches = [line for source in sources for line in untaken(source)]
    told = ["lines that did not run, and why:", *(listed or ["none"]), ""]
    REPORT.write_text("\n".join([*told, "branches that were not taken, of lines that ran:",
                                 *branches, "", *rows]) + "\n")
    print("\n".join(told + rows))
    say(f"branches that were not taken are in {REPORT}")
    if 100 * total[0] < LEAST * total[1]:
        complaints.append(f"fewer than {LEAST} % of the lines are covered")
    return complaints


# ---- the boot

def boot():
    """The archive of the guest's counters, as lines, and the tests that failed.
    Upstream's programs are left out: they test what is not ours."""
    programs = check.our_programs()
    say("booting it with all tests")
    guest = Boot("gcov", "coverage", [*programs, SENDER], *KUNIT_PARAMETERS)
    bad = guest.whole()
    if bad:
        raise Failed(f"{bad[0].name} {bad[0].reason}")
    lines = guest.sections.get(f"output {SENDER}", [])
    if guest.ended.get(SENDER) or not any(lines):
        raise Failed(f"the guest sent no counters, see {guest.log}")
    return lines, failures(guest, programs)


def failures(guest, programs):
    """Tests that failed. One that was too slow, on a machine that is busy with
    other things, is none: it covers less."""
    cases = [(p, case) for p in programs for case in tap.all_run(guest.cases(p))]
    kunit = tap.parse(tap.strip_stamps(guest.sections["dmesg"]))
    cases += [("kunit", case) for case in check.some(kunit)]
    say(f"{sum(c.verdict == 'pass' for _, c in cases)} tests passed")
    late = [(p, c) for p, c in cases if is_late(c)]
    for program, case in late:
        say(f"{program} {case.name} ran into a time limit, and covers less for that")
    return [f"a test failed: {p} {c.name}: {c.reason}" for p, c in cases
            if c.verdict == "fail" and (p, c) not in late]


def main():
    try:
        lines, complaints = boot()
        with tempfile.TemporaryDirectory() as folder:
            unpack(lines, Path(folder))
            sources = collect(gcov(name, Path(folder)) for name in OBJECTS)
        complaints += report(sources)
    except Failed as problem:
        return f"error: {problem}"
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
