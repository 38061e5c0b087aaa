#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads the console of one boot and tells what the kernel reported in it. A data
race counts as ours if a function of ours is in one of its stacks; the others are
listed by the two functions that met. Any other splat counts, unless the stock
kernel makes it too (proof/expected/known-splats.list).

usage: reports.py CONSOLE OUT    OUT: the directory that the kernel was built in
"""
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import tap
from boot import known_splat
from console import Console

OURS = ("drivers/iommu/iommufd/eventq*.o", "drivers/iommu/io-pgfault.o")
FRAME = re.compile(r" (?:0x[0-9a-f]+ )?([\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+")
RULE = "=" * 20
# Of mutexes: those who wait for one meet in its queue, whatever it is for.
OF_LOCKS = {"osq_lock", "osq_unlock"}


def our_functions(out):
    """Of the objects of our files, inlined functions of headers included."""
    names = set()
    for path in (p for pattern in OURS for p in Path(out).glob(pattern)):
        listing = subprocess.run(["nm", str(path)], check=True, stdout=subprocess.PIPE, text=True)
        names |= {w[2] for w in map(str.split, listing.stdout.splitlines())
                  if len(w) == 3 and w[1] in "tTwW"}
    if not names:
        sys.exit(f"error: no {OURS[0]} in {out}")
    return names


def races(lines):
    """Blocks of data races, each from its first line to the rule at its end."""
    block = []
    for line in tap.strip_stamps(lines):
        if "BUG: KCSAN:" in line:
            block = [line]
        elif block and line.startswith(RULE):
            yield block
            block = []
        elif block:
            block.append(line)
    if block:
        yield block


def is_ours(block, functions):
    """What an interrupt came upon is in its stack, below its entry, and has no part in it.
    Nor has who waits for a lock in what the lock does."""
    interrupted = False
    if set(block[0].split(" in ")[-1].split(" / ")) <= OF_LOCKS:
        return False
    for line in block:
        found = FRAME.match(line)
        if not found:
            interrupted = False
        elif found[1].startswith("asm_"):
            interrupted = True
        elif not interrupted and {found[1], found[1].split(".")[0]} & functions:
            return True
    return False


def main():
    console, out = sys.argv[1:]
    lines = Console(console).kernel_log()
    functions = our_functions(out)
    ours, others = Counter(), Counter()
    for block in races(lines):
        if is_ours(block, functions):
            ours["\n".join(block)] += 1
        else:
            others[block[0].split("BUG: KCSAN: ")[1]] += 1
    for name, times in others.most_common():
        print(f"  not ours, {times} times: {name}")
    for block in ours:
        print(f"\n{block}\n")
    bad = [b for b in tap.splats(lines) if "KCSAN" not in b and not known_splat(b)]
    for block in bad:
        print(f"\n{block}\n")
    print(f"{len(ours)} data races of ours, {sum(others.values())} of others, "
          f"{len(bad)} other reports")
    return 1 if ours or bad else 0


if __name__ == "__main__":
    sys.exit(main())
