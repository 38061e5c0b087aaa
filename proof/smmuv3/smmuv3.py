# SPDX-License-Identifier: GPL-2.0
"""The real arm-smmu-v3 driver: an arm64 guest with QEMU's nesting SMMUv3, in which
the program of smmuv3/ makes devices fault and reads what comes of it. Compares the
stock kernel with ours; on ours check.py runs the same program as a unit."""
from boot import Boot, BuildFailed, build, say
from tap import Case

PROGRAM = "test-smmuv3"


def cases_of(kernel):
    """What came of each case on that kernel."""
    build("harness/guest/prepare.sh", kernel)
    done = Boot(kernel, "smmuv3", [PROGRAM])
    if done.whole():
        raise BuildFailed(f"the guest of the {kernel} kernel did not get to its end, see {done.log}")
    return {c.name: c for c in done.cases(PROGRAM) + done.quiet()}


def told(case):
    reason = case.reason and " (" + case.reason.splitlines()[0] + ")"
    return case.verdict + (reason if case.verdict != "pass" else "")


def compare():
    """Prints the cases whose verdict on the stock kernel is another one than on ours."""
    stock, ours = cases_of("stock-smmuv3"), cases_of("smmuv3")
    nothing = Case("", "did not run", "")
    pairs = [(name, stock.get(name, nothing), ours.get(name, nothing)) for name in {**ours, **stock}]
    differ = [pair for pair in pairs if pair[1].verdict != pair[2].verdict]
    say(f"{len(ours)} cases on ours, {len(stock)} on the stock kernel; {len(differ)} differ")
    for name, on_stock, on_ours in differ:
        print(f"  {name}: stock: {told(on_stock)}, ours: {told(on_ours)}")
    return 1 if any(c.verdict == "fail" for c in ours.values()) else 0


def is_stock(tree):
    """Which tree of build/ is meant with TREE=?"""
    name = tree.rstrip("/").removeprefix("build/")
    if name not in ("tree", "base"):
        raise BuildFailed(f"TREE={tree}: there is build/tree (ours) and build/base (the stock kernel)")
    return name == "base"
