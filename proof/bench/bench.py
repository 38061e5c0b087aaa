#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots the two kernels of the benchmark under a clock that counts instructions,
compares what they need with each other and with budgets.list, and tells: a table,
build/bench.txt, with README=1 README.md. Ends with 1 if a budget is missed or a
second run does not show the same.

usage: bench.py
"""
import os
import re
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from boot import BUILD, CPUS, ROOT, Boot, read_list, say

HERE = Path(__file__).resolve().parent
PROGRAM = "iommufd_eventq_bench"
KERNELS = ("stock", "ours")
# What runs in a boot of its own: what uses up memory, or needs two CPUs; and a
# second time what repeats to the instruction, after the same things.
BOOTS = {
    "main": (1, ("floors", "viommu", "fault", "uring", "growth", "life")),
    "again": (1, ("floors", "viommu", "fault")),
    "memory": (1, ("memory",)),
    "smp": (2, ("smp",)),
}
SIZES = (1, 64, 4096, 65536)
FLAT = 1.05
REPEATS = 0.01

Row = namedtuple("Row", "name budget text stock ours ok")


class Failure(Exception):
    """One line for the user."""


# ---- measuring

def boot(kernel, name):
    """Results of one boot, by name; None for what never came."""
    cpus, sections = BOOTS[name]
    done = Boot(f"bench-{kernel}", name, [",".join((PROGRAM, *sections))], cpus=cpus, count=True)
    lines = [line for part in done.sections.values() for line in part]
    errors = [x for x in lines if re.search(r"^error: |WARNING|BUG|Oops", x)]
    if done.status != 0 or errors:
        why = (["the program failed"] + done.stderr.strip().splitlines() + errors)[-1]
        raise Failure(f"the {kernel} kernel: {why} (see {done.log})")
    found = [m.groups() for x in lines if (m := re.fullmatch(r"bench (\S+) (\S+)", x))]
    return {n: None if v == "never" else float(v) for n, v in found}


def measure():
    with ThreadPoolExecutor(CPUS) as pool:
        # The longest first
        running = {(k, b): pool.submit(boot, k, b) for b in BOOTS for k in KERNELS}
        return {key: result.result() for key, result in running.items()}


def differences(first, again):
    """Names whose value in a second boot is another one."""
    return [n for n, v in again.items()
            if abs(v - value(first, n)) > REPEATS * max(abs(first[n]), 1)]


# ---- judging

def budgets():
    """Lines `name budget text` of budgets.list."""
    return [(name, *rest.split(None, 1)) for name, rest in read_list(HERE / "budgets.list")]


def value(results, name):
    if name not in results:
        raise Failure(f"the benchmark did not print {name}")
    return results[name]


def within(values, budget, stock=0.0):
    if budget == "-":
        return True
    if budget.startswith("stock+"):
        return max(values) <= stock + float(budget.removeprefix("stock+"))
    if budget == "flat":
        return max(values) <= FLAT * values[0]
    low, _, high = budget.rpartition("..")
    return all(v is not None and float(low or 0) <= v <= float(high) for v in values)


def single(name, budget, text, stock, ours):
    a, b = value(stock, name), value(ours, name)
    return Row(name, budget, text, (a,), (b,), within((b,), budget, a))


def series(name, budget, text, stock, ours):
    a, b = ([value(r, f"{name}{n}") for n in SIZES] for r in (stock, ours))
    return Row(name, budget, text, a, b, within(b, budget))


def judge(stock, ours):
    return [(series if name.endswith("-at-") else single)(name, budget, text, stock, ours)
            for name, budget, text in budgets()]


# ---- telling

def number(x):
    if x is None:
        return "never"
    return f"{x:.0f}" if x >= 100 or x == int(x) else f"{x:.1f}"


def ratio(row):
    a, b = row.stock[0], row.ours[0]
    return f"{b / a:.2f}" if a and b is not None and "bytes" not in row.text else "-"


def grid(head, lines):
    """Markdown, which is a table as plain text, too."""
    widths = [max(len(x[i]) for x in [head, *lines]) for i in range(len(head))]
    left = [x.ljust(widths[0]) if i == 0 else x for i, x in enumerate(head)]

    def line(cells):
        return "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w)
                                 for i, (c, w) in enumerate(zip(cells, widths))) + " |"
    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":")
                          for i, w in enumerate(widths)) + "|"
    return [line(left), rule, *map(line, lines)]


def verdict(row):
    return "" if row.ok else " MISSED"


def tables(rows):
    plain = [r for r in rows if len(r.stock) == 1]
    judged = [r for r in plain if r.budget != "-"]
    floors = [r for r in plain if r.budget == "-"]
    grown = [r for r in rows if len(r.stock) > 1]
    return "\n".join([
        *grid(("operation", "stock", "ours", "ratio", "budget"),
              [(r.text, number(r.stock[0]), number(r.ours[0]), ratio(r),
                r.budget + verdict(r)) for r in judged]),
        "",
        *grid(("for comparison, on the same kernels", "stock", "ours"),
              [(r.text, number(r.stock[0]), number(r.ours[0])) for r in floors]),
        "",
        *grid(("growth with N", "kernel", *(f"N = {n}" for n in SIZES), "budget"),
              [(r.text if k == "stock" else "", k, *map(number, v),
                "" if k == "stock" else r.budget + verdict(r))
               for r in grown for k, v in (("stock", r.stock), ("ours", r.ours))]),
    ]) + "\n"


def update_readme(text):
    readme = ROOT / "README.md"
    old = readme.read_text()
    new, n = re.subn(r"(<!-- make bench README=1 -->\n).*?(<!-- end -->)",
                     lambda m: m[1] + text + m[2], old, flags=re.S)
    if n != 1:
        raise Failure("README.md has no place for the table")
    readme.write_text(new)


def tell(rows):
    text = tables(rows)
    print(text)
    (BUILD / "bench.txt").write_text(text)
    if os.environ.get("README"):
        update_readme(text)


def main():
    say("counting instructions, stock and ours")
    try:
        results = measure()
        moved = {k: differences(results[k, "main"], results[k, "again"]) for k in KERNELS}
        rows = judge(*({n: v for b in BOOTS if b != "again" for n, v in results[k, b].items()}
                       for k in KERNELS))
        tell(rows)
    except Failure as problem:
        sys.exit(f"error: {problem}")
    missed = [r.text for r in rows if not r.ok]
    unsteady = [f"{k} {n}" for k, names in moved.items() for n in names]
    for what, names in (("budget missed", missed), ("not the same in a second run", unsteady)):
        for name in names:
            print(f"{what}: {name}")
    met = sum(r.budget != "-" and r.ok for r in rows)
    say(f"{met} budgets met, {len(missed)} missed; build/bench.txt")
    return 1 if missed or unsteady else 0


if __name__ == "__main__":
    sys.exit(main())
