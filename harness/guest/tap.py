# SPDX-License-Identifier: GPL-2.0
"""Reads test results: TAP of kselftests, KTAP of KUnit (also from a kernel log),
and finds the lines of a kernel log that no test may cause. Knows nothing of how
tests are run."""
import re
from typing import NamedTuple

RESULT = re.compile(r"( *)(not ok|ok) \d+(?: -)?(?: ([^#]*?))?(?: *# *(.*))?$")
PLAN = re.compile(r"( *)1\.\.(\d+)")
SUBTEST = re.compile(r"( *)# Subtest: (\S+)")
STAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[[^]]*\])? ?")
# What a test says before its result: kselftest's file:line:test:text, KUnit's
# "# test: EXPECTATION FAILED".
COMPLAINT = re.compile(r"\s*# (?:\S+\.c:\d+:|\S+: (?:EXPECT|ASSERT)|\S+: try )|\s*Expected |\s*# .*(?:timeout|exited)")


class Case(NamedTuple):
    name: str
    verdict: str  # pass, fail or skip
    reason: str


def strip_stamps(lines):
    """Kernel log lines without their time."""
    return [STAMP.sub("", line) for line in lines]


def parse(lines):
    """Cases of (K)TAP output. A result under which there were others is only
    their sum, unless none of them explains its failure."""
    cases, suites, plans, seen = [], {}, {}, {}
    complaints, deeper = [], -1
    for line in lines:
        if match := SUBTEST.match(line):
            suites[len(match[1])] = match[2]
        elif match := PLAN.match(line):
            # A plan opens a level anew.
            plans[len(match[1])], seen[len(match[1])] = int(match[2]), 0
        elif match := RESULT.match(line):
            depth = len(match[1])
            case = make_case(match, [suites[d] for d in sorted(suites) if d <= depth], complaints)
            seen[depth] = seen.get(depth, 0) + 1
            if deeper > depth:
                case = sum_of(case, deeper, plans, seen, cases)
                for d in [d for d in suites if d > depth]:
                    del suites[d]
            if case:
                cases.append(case)
            deeper, complaints = depth, []
        elif COMPLAINT.match(line):
            complaints.append(line.strip().lstrip("# "))
    return number_twins(cases) + missing(0, plans, seen)


def make_case(match, suites, complaints):
    comment = match[4] or ""
    name = ".".join(suites + [(match[3] or "").strip() or comment])
    if comment.upper().startswith("SKIP"):
        return Case(name, "skip", comment[4:].strip())
    if match[2] == "ok":
        return Case(name, "pass", "")
    return Case(name, "fail", "; ".join(complaints[:3]) or comment or "no reason given")


def sum_of(case, deeper, plans, seen, cases):
    """What the result of a suite adds to those of its tests: mostly nothing."""
    lost = missing(deeper, plans, seen)
    plans.pop(deeper, None)
    if lost:
        return Case(case.name + lost[0].name, "fail", lost[0].reason)
    explained = any(c.verdict == "fail" for c in cases)
    return case if case.verdict == "fail" and not explained else None


def missing(depth, plans, seen):
    """A run that ended early did not pass."""
    if plans.get(depth, 0) == seen.get(depth, 0):
        return []
    return [Case("(plan)", "fail", f"{plans.get(depth, 0)} tests planned, {seen.get(depth, 0)} ended")]


def number_twins(cases):
    """Makes names unique: the second x becomes x#2."""
    count, result = {}, []
    for case in cases:
        count[case.name] = count.get(case.name, 0) + 1
        twin = f"#{count[case.name]}" if count[case.name] > 1 else ""
        result.append(case._replace(name=case.name + twin))
    return result


# ---- the kernel log

SPLAT = re.compile(
    r"\bBUG:|\bWARNING:|\bKASAN:|\bKCSAN:|\bUBSAN:|\bKFENCE:|\bODEBUG:|\bOops\b|"
    r"general protection fault|Kernel panic|kernel panic|unreferenced object|"
    r"possible recursive locking|possible circular|lock held when returning to user space|"
    r"suspicious RCU usage|sleeping function called|bad unlock balance|non-static key|"
    r"refcount_t:|list_(?:add|del) corruption|INFO: task .* blocked|\brcu:.*stall|"
    r"kmemleak: .*(?:disabled|exhausted)|unable to handle|double fault|stack guard page|"
    r"EVTQ overflow detected|CMD_SYNC timeout|unexpected global error")


def splats(lines):
    """Blocks of lines, each opened by one that nobody may cause. A leak's
    backtrace belongs to it: it tells one leak from another."""
    lines = strip_stamps(lines)
    blocks = []
    for number, line in enumerate(lines):
        if not SPLAT.search(line):
            continue
        end = number + 1
        if "unreferenced object" in line:
            while end < len(lines) and lines[end].startswith("  "):
                end += 1
        blocks.append("\n".join(lines[number:end]))
    return blocks


def all_run(cases):
    """Our kernel has all that our programs need: a skipped case is not run."""
    return [c._replace(verdict="fail", reason=f"skipped: {c.reason}")
            if c.verdict == "skip" else c for c in cases]
