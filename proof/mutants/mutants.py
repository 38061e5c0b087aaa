#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Proves the tests: puts each defect of the lists beside into the code, builds the iommufd
module with it, boots it, and demands that the test that the defect names fails.
What a mutant is stands in mutant.py; those of the arm64 guest have a kernel of their
own each, see mutants_builtin.py, as have those of what is built in on x86.

usage: mutants.py [NAME]: all, those of one defect (B4), of one list (iopf), or one
       mutants.py --fit: says which of them build/tree has no place for
"""
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import bench
import mutants_builtin
import tap
from boot import BUILD, CPUS, KUNIT_PARAMETERS, OUT, Boot, BuildFailed, build, is_late, known_splat, say, \
    script
from kernels import KERNELS
from mutant import BUILTIN, Wrong, change, chosen, first_error, fit, read_lists, restore

WORK = OUT / "mutants"
# The test is a row of budgets.list, which that section of its program prints.
BENCH = ("iommufd_eventq_bench", "life")
# So many share a boot, until one of them breaks the kernel.
BATCH = 8


# ---- builds and boots

def seconds(kernel):
    """What a boot takes at most, if only one of its mutants has to run into the guest's
    own limit; a kernel that hangs as a whole takes all of it."""
    return KERNELS[f"mutants-{kernel}"].seconds


def module(kernel, name):
    """Builds the module from the sources as they are now."""
    file = WORK / f"{name}.ko"
    done = script("proof/mutants/module.sh", kernel, str(file), stderr=subprocess.PIPE, text=True,
                  errors="replace")
    if done.returncode:
        raise Wrong(f"{name} does not build: {first_error(done.stderr)}")
    return file


def pack(image, wanted):
    """An initramfs with the modules, and the list of what to run with which."""
    root = image.with_suffix(".root")
    # What an interrupted run left
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    lines = [f"{w.name} /{w.ko.name} {w.mutant.times} {w.program()}\n" for w in wanted]
    (root / "cases").write_text("".join(lines))
    for ko in {w.ko for w in wanted}:
        (root / ko.name).hardlink_to(ko)
    with open(image, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root, check=True,
                       input="\n".join(sorted(os.listdir(root))).encode(), stdout=out)
    for path in root.iterdir():
        path.unlink()
    root.rmdir()


class Wanted:
    """A module that was built, the test to be run with it, and what came out."""

    def __init__(self, mutant, ko, name=None):
        self.mutant, self.ko, self.name = mutant, ko, name or mutant.name
        self.started = self.ended = False
        self.verdict, self.splats = None, []

    def program(self):
        """What the guest is to run: a program and its case."""
        return " ".join(BENCH if self.mutant.counts() else self.mutant.test)

    def read(self, lines, log):
        """What the program printed, and what the kernel said."""
        program, case = self.mutant.test
        if self.mutant.counts():
            verdicts = bench_verdicts(lines, case)
        else:
            cases = tap.parse(tap.strip_stamps(log) if program == "kunit" else lines)
            # Of a case that is run several times, tap.py numbers all but the first.
            verdicts = {"timeout" if is_late(c) else c.verdict for c in cases
                        if c.name.partition("#")[0] == case}
        self.verdict = next((v for v in ("fail", "timeout", "skip", "pass") if v in verdicts), None)
        self.splats = [b for b in tap.splats(log) if not known_splat(b)]

    def shown(self):
        return {"case": self.verdict == "fail",
                "timeout": self.verdict == "timeout",
                "splat": bool(self.splats),
                "leak": any("unreferenced object" in b for b in self.splats)}[self.mutant.sign]

    def what(self):
        said = [f"the case: {self.verdict or 'did not end'}"]
        if not self.ended:
            said.append("the guest did not go on")
        if self.splats:
            said.append("the kernel's log: " + self.splats[0].splitlines()[0])
        return ", ".join(said)


def bench_verdicts(lines, row):
    """Whether the costs that the program printed keep the budget of that row."""
    budget = [b for n, b, _ in bench.budgets() if n == row]
    values = [line.split()[2] for line in lines if line.startswith(f"bench {row} ")]
    return {"pass" if bench.within([float(v)], b) else "fail" for v in values for b in budget}


def boot(kernel, name, wanted, seconds):
    """Boots with these modules, and tells each of the wanted what it showed."""
    image = WORK / f"{name}.cpio"
    pack(image, wanted)
    # To look for them takes longer than all the rest.
    options = [] if any(w.mutant.sign == "leak" for w in wanted) else ["kmemleak=off"]
    # What KASAN says has to reach the console before lists go round in a circle.
    options += ["kasan.fault=panic"] if all(w.mutant.sign == "splat" for w in wanted) else []
    # Of memory little: what looks for leaks reads all of it.
    done = Boot(f"mutants-{kernel}", name, ["test-mutant"], *KUNIT_PARAMETERS,
                "kunit.filter_glob=none.none", "EVENTQ_STRESS_SECONDS=25", *options, more=image,
                seconds=seconds, count=wanted[0].mutant.counts(), memory="1G")
    image.unlink()
    parts, logs = split(done)
    for one in wanted:
        one.started, one.ended = one.name in parts, f"mutant-end {one.name}" in parts.get(one.name, [])
        one.read(parts.get(one.name, []), logs.get(one.name, []))


def split(done):
    """The console, and the kernel's log, by the name of what was wanted. The leaks
    are looked for at the end: they are the last one's."""
    parts, logs, name = {}, {}, None
    for line in done.sections.get("output test-mutant", []):
        if line.startswith("mutant "):
            name = line.split()[1]
            parts[name] = []
        elif name:
            parts[name].append(line)
    last, name = name, None
    for line in done.kernel_log():
        if match := re.search(r"\] eventq: mutant (\S+)$", line):
            name = match[1]
        if name:
            logs.setdefault(name, []).append(line)
    # A guest that died put its log on the console, without those lines.
    if "dmesg" not in done.sections and last:
        logs[last] = done.kernel_log()
    return parts, logs


def run_batch(kernel, wanted):
    """Until each had its turn: the one that breaks the kernel is the last of its
    boot, and so the one to blame."""
    while wanted:
        boot(kernel, wanted[0].name, wanted, seconds(kernel))
        left = [w for w in wanted if not w.started]
        if len(left) == len(wanted):
            raise Wrong(f"{wanted[0].name}: the guest ran nothing")
        wanted = left


def proves_the_same(kernel, mutant):
    """Of the tests with the same one of these, one without a mutant will do. The
    debug kernel is slow, and make check runs all of them on it."""
    program, case = mutant.test
    return mutant.test if kernel == "plain" or mutant.sign == "leak" else \
        (program, case.partition(".")[0])


class Control:
    """The tests without a mutant: they pass, and the kernel says nothing. They run
    beside the mutants, in a boot for each CPU."""

    def __init__(self, kernel, mutants, pool):
        self.kernel, self.ko = kernel, module(kernel, f"control-{kernel}")
        # A test that has to show a leak must show none here.
        tests = {proves_the_same(kernel, m): m
                 for m in sorted(mutants, key=lambda m: m.sign == "leak")}
        self.wanted = [Wanted(replace(m, times=1), self.ko, f"control-{kernel}-{n}")
                       for n, m in enumerate(tests.values())]
        kinds = {}
        for one in self.wanted:
            kinds.setdefault((one.mutant.counts(), one.mutant.sign == "leak"), []).append(one)
        others = kinds.pop((False, False), [])
        parts = [*kinds.values(), *(others[n::CPUS] for n in range(CPUS))]
        self.running = [pool.submit(self.boot, part) for part in parts if part]

    def boot(self, part):
        boot(self.kernel, part[0].name, part, seconds(self.kernel) * (1 + len(part) // 10))

    def wrong(self):
        for part in self.running:
            part.result()
        # Time limits, as in second_turn()
        for one in self.wanted:
            if one.verdict == "timeout" and not one.splats:
                self.boot([one])
        self.ko.unlink()
        return sorted(f"{' '.join(w.mutant.test)} ({self.kernel} kernel): {w.what()}"
                      for w in self.wanted if w.verdict != "pass" or w.splats or not w.ended)


# ---- all of it

def prepare(kernels):
    for kernel in kernels:
        build("harness/kernel/kernel.sh", f"mutants-{kernel}")
    for programs in ("tests", "benchmark"):
        build("harness/guest/programs.sh", programs)
    build("harness/guest/initramfs.sh")
    build("harness/tree/tree.py", "worktree", "mutants", "series")
    WORK.mkdir(parents=True, exist_ok=True)


def build_batches(mutants):
    """Builds the modules one after the other, and hands them out in batches."""
    batch = []
    for mutant in mutants:
        try:
            before = change(mutant)
            try:
                one = Wanted(mutant, module(mutant.kernel, mutant.name))
            finally:
                restore(before)
        except Wrong as problem:
            yield [], mutant, str(problem)
            continue
        if not mutant.shares():
            yield [one], mutant, ""
            continue
        if batch and batch[0].mutant.kernel != mutant.kernel or len(batch) == BATCH:
            yield batch, None, ""
            batch = []
        batch.append(one)
    if batch:
        yield batch, None, ""


def run_all(mutants, pool):
    """Boots a batch while the next is built. Returns what cannot be tried, and who
    was not caught."""
    problems, missed, running = [], [], []
    for batch, mutant, problem in build_batches(mutants):
        if problem:
            problems.append(problem)
            say(f"NOT CAUGHT {problem}")
            continue
        running.append((pool.submit(run_batch, batch[0].mutant.kernel, batch), batch))
        while running and running[0][0].done():
            missed += report(*running.pop(0))
    for item in running:
        missed += report(*item)
    return problems, missed


def report(future, batch):
    """A line for each mutant that had its turn; returns those not caught."""
    future.result()
    missed = []
    for one in batch:
        if told(one):
            one.ko.unlink()
        else:
            say(f"once more at the end: {one.name}: {one.what()}")
            missed.append(one)
    return missed


def told(one, turn=""):
    if one.shown():
        say(f"caught {one.name} by {' '.join(one.mutant.test)}{turn}"
            + ("" if one.mutant.sign == "case" else f": {one.what()}"))
    return one.shown()


def second_turn(one):
    """A case with a time limit can run into it beside other guests, and a race can
    fail to come about: neither says that the test is blind."""
    run_batch(one.mutant.kernel, [one])
    one.ko.unlink()
    if told(one, " in its second turn"):
        return []
    by = " ".join(one.mutant.test)
    say(f"NOT CAUGHT {one.name} by {by}: {one.what()}")
    return [f"{one.name} ({by}): {one.what()}"]


def run_modules(mutants):
    """Those in the module. Returns what was not caught."""
    kernels = sorted({m.kernel for m in mutants})
    prepare(kernels)
    # One file after the other, as each has to be compiled again when it is left.
    mutants.sort(key=lambda m: (m.kernel, m.hunks[0][0]))
    with ThreadPoolExecutor(CPUS) as pool:
        controls = [Control(kernel, [m for m in mutants if m.kernel == kernel], pool)
                    for kernel in kernels]
        survivors, missed = run_all(mutants, pool)
        bad = [line for control in controls for line in control.wrong()]
    if bad:
        raise Wrong("without a mutant:\n  " + "\n  ".join(bad))
    survivors += [text for one in missed for text in second_turn(one)]
    if missed:
        print(f"{len(missed)} had a second turn: " + ", ".join(one.name for one in missed))
    return survivors


def run(name):
    mutants = chosen(read_lists(), name)
    say(f"{len(mutants)} mutants")
    others = [m for m in mutants if m.kernel not in BUILTIN]
    survivors = run_modules(others) if others else []
    for kind in BUILTIN:
        own = [m for m in mutants if m.kernel == kind]
        survivors += mutants_builtin.run(own) if own else []
    if survivors:
        print("not caught:\n  " + "\n  ".join(survivors))
    print(f"{len(mutants) - len(survivors)} passed, {len(survivors)} failed")
    return 1 if survivors else 0


def main():
    # Ctrl-C ends us at once, and what runs below us with it; the sources are put
    # right at the next start.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        if sys.argv[1:] == ["--fit"]:
            return fit(read_lists(), BUILD / "tree")
        return run(sys.argv[1] if len(sys.argv) > 1 else None)
    except (Wrong, BuildFailed) as problem:
        return f"error: {problem}"


if __name__ == "__main__":
    sys.exit(main())
