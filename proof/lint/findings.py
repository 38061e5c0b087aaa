#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Judges what a tool of lint.sh found: reads findings, a line each that starts
with path:line:, and prints one line of TAP. A finding that is not excused by
proof/lint/lint.list is a failure, and so is an excuse that excuses nothing.

usage: findings.py NUMBER NAME TOOL <findings
"""
import fnmatch
import re
import sys
from pathlib import Path

LIST = Path(__file__).with_name("lint.list")


def excuses(tool):
    """Lines `tool path-pattern regular expression  # reason`."""
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+(\S+)\s+(.*\S)\s+# \S.*", line)
        if not match:
            sys.exit(f"error: lint.list:{number} is not of its form")
        if match[1] == tool:
            yield number, match[2], re.compile(match[3])


def excused_by(finding, path, rules):
    """The rules, by number, that excuse a finding in the file `path`."""
    return {n for n, where, text in rules
            if fnmatch.fnmatch(path, where) and text.search(finding)}


def judge(findings, tool):
    used, left = set(), []
    rules = list(excuses(tool))
    for finding in findings:
        hits = excused_by(finding, finding.partition(":")[0], rules)
        used |= hits
        if not hits:
            left.append(finding)
    return left + [f"proof/lint/lint.list:{n}: excuses nothing any more"
                   for n, _, _ in rules if n not in used]


def main():
    number, name, tool = sys.argv[1:]
    findings = list(dict.fromkeys(x.rstrip("\n") for x in sys.stdin if x.strip()))
    left = judge(findings, tool)
    for finding in left:
        print(f"#   {finding}")
    excused = len(findings) - sum(x in findings for x in left)
    text = left[0].replace("#", "") if left else f"{excused} excused" if excused else ""
    print(f"{'not ' if left else ''}ok {number} {name}" + (f" # {len(left)}: {text}" if left else f" # {text}" if text else ""))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
