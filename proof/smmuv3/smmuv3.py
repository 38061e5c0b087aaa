# SPDX-License-Identifier: GPL-2.0
"""The real arm-smmu-v3 driver: an arm64 guest with QEMU's nesting SMMUv3, in which
the program of smmuv3/ makes devices fault and reads what comes of it. Its units for
check.py, and the comparison of the stock kernel with ours."""
from functools import partial

import tap
from boot import BUILDER, GUESTS, OUT, Boot, BuildFailed, again_if_late, all_quiet, build, say
from kernels import KERNELS as TABLE
from tap import Case

PROGRAM = "test-smmuv3"
# Units by the kernel that each of them boots
KERNELS = tuple(k.name for k in TABLE.values() if "smmuv3" in k.units)
# What makes the guest believe to be on a coherent host
IORT = {"more": OUT / "smmuv3-iort.cpio"}


def boot(kernel):
    return Boot(kernel, "smmuv3", [PROGRAM], **IORT)


class Guests:
    """The boots that the chosen units need."""

    def __init__(self, kernels):
        self.kernels, self.running = kernels, {}
        self.ready = BUILDER.submit(self.start)

    def start(self):
        build("proof/smmuv3/smmuv3.sh", *self.kernels)
        self.running = {k: GUESTS.submit(boot, k) for k in self.kernels}

    def unit(self, kernel):
        self.ready.result()
        first = self.running[kernel].result()
        done = again_if_late(first, kernel, PROGRAM, **IORT)
        return done.whole() + all_quiet(first, done) + tap.all_run(done.cases(PROGRAM))


def units(kernels=KERNELS):
    guests = kernels and Guests(kernels)
    return {kernel: partial(guests.unit, kernel) for kernel in kernels}


def cases_of(kernel):
    """What came of each case on that kernel."""
    build("proof/smmuv3/smmuv3.sh", kernel)
    done = boot(kernel)
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
