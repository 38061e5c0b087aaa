#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the tests and counts. Which units there are, what each must show, and the
comparison with harness/expected/ stand here; reading results is in tap.py,
booting in boot.py, and building are the scripts beside.

usage: check.py check [name] | check-stock | smmuv3 [build/base] | step [program]...
       smmuv3: those of the arm64 guest, or how they are on the stock kernel
       step: on a kernel of series.py, of the tree in build/tree: those of our
       programs, or upstream's selftests and the KUnit tests that there are
"""
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import smmuv3
import tap
from boot import BUILD, EXPECTED, HARNESS, KUNIT_PARAMETERS, OUT, UPSTREAM
from boot import Boot, BuildFailed, again_if_late, all_quiet, build, known_splat, say, script, some
from tap import Case

VARIANTS = ("plain", "debug")
# Its verdicts on the stock kernel say what we repair; on ours all is to pass.
CONSUMERS = "iommufd_eventq_consumers"
SAMPLE_TESTS = ["test-demo", "test-sample"]
# Programs that the guest has a script for, which runs them as they need it.
SCRIPTS = {"iommufd_eventq_fail_nth": "test-fail-nth"}


# ---- lists of harness/expected

def read_list(name):
    """Lines `first rest`, with # comments."""
    path = EXPECTED / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split(None, 1) for line in lines if line.strip() and line[0] != "#"]


def compare(cases, wanted):
    """Cases whose verdict is another one than stock's fail; the others pass."""
    result, left = [], dict(wanted)
    for case in cases:
        stock = left.pop(case.name, "nothing")
        if case.verdict == stock:
            result.append(case._replace(verdict="pass", reason=""))
        else:
            result.append(Case(case.name, "fail", f"stock: {stock}, here: {case.verdict}"
                               + (f" ({case.reason})" if case.reason else "")))
    return result + [Case(n, "fail", f"stock: {v}, here: did not run") for n, v in left.items()]


def excuse(unit, cases):
    """Known failures count as skipped, and fail when they no longer fail."""
    known = {tuple(x[:2]): " ".join(x[2:]) for x in
             ([u, *rest.split(None, 1)] for u, rest in read_list("known-failures.list"))}
    result = []
    for case in cases:
        why = known.get((unit, case.name))
        if why is not None and case.verdict == "fail":
            case = case._replace(verdict="skip", reason="known failure: " + why)
        elif why is not None and case.verdict == "pass":
            case = case._replace(verdict="fail", reason="passes, yet is in known-failures.list")
        result.append(case)
    return result


# ---- units

def unit_harness():
    done = script("test-harness.sh", stdout=subprocess.PIPE, text=True)
    cases = tap.parse(done.stdout.splitlines())
    return some(cases)


def unit_lint():
    done = script("lint.sh", stdout=subprocess.PIPE, text=True)
    return some(tap.parse(done.stdout.splitlines()))


def unit_docs():
    done = script("docs.sh", stdout=subprocess.PIPE, text=True)
    return some(tap.parse(done.stdout.splitlines()))


def unit_kunit_um():
    build("kunit-um.sh")
    log = (OUT / "kunit-um.log").read_text(errors="replace").splitlines()
    text = tap.strip_stamps(log)
    bad = [Case("(kernel log)", "fail", b) for b in tap.splats(text)]
    return some(tap.parse(text)) + (bad or [Case("(kernel log)", "pass", "")])


def has_sample():
    """It comes with several steps of the series, and can be built after the last."""
    return (BUILD / "tree/samples/iommufd/Makefile").is_file()


def prepare(tree, variant):
    build("kernel.sh", tree, variant)
    build("programs.sh", "selftests")
    if has_sample():
        build("programs.sh", "sample")
    build("initramfs.sh")


def run_program(tree, variant, program):
    """Cases have time limits of their own, which a machine that is busy with
    other things can miss: that says nothing of the kernel, so it may try again."""
    boot = Boot(tree, variant, program, [program])
    return again_if_late(boot, tree, variant, program)


class Kernel:
    """One of our kernels and the boots of it that the chosen units need. A guest
    keeps little more than one CPU busy, so there is one for each. Our programs
    share a boot: the unit that asks first gets the cases of the boot itself."""

    def __init__(self, variant, units, stock=None):
        """stock: the stock kernel to compare with, if its name is another"""
        self.variant, self.running, self.told = variant, None, False
        self.stock = stock or variant
        ours = [u for u in units if u != "kunit" and u not in UPSTREAM]
        # The longest first.
        self.wanted = {"ours": ours} if ours else {}
        self.wanted |= {u: [u] for u in reversed(UPSTREAM) if u in units}
        if "kunit" in units:
            self.wanted["kunit"] = ["none"]

    def boot(self, name):
        if not self.running:
            prepare("tree", self.variant)
            pool = ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count() or 1))
            self.running = {
                n: pool.submit(Boot, "tree", self.variant, n, programs,
                               *(KUNIT_PARAMETERS if n == "kunit" else ()))
                for n, programs in self.wanted.items()}
        return self.running[name].result()

    def unit(self, name):
        if name == "kunit":
            return self.unit_kunit()
        return self.unit_upstream(name) if name in UPSTREAM else self.unit_ours(name)

    def unit_kunit(self):
        boot = self.boot("kunit")
        cases = tap.parse(tap.strip_stamps(boot.sections.get("dmesg", [])))
        return boot.whole() + some(cases) + boot.quiet()

    def unit_upstream(self, program):
        name = f"{program}.{self.stock}.list"
        wanted = [(case, verdict) for verdict, case in read_list(name)]
        if not wanted:
            return [Case("(list)", "fail",
                         f"harness/expected/{name} is missing: make check-stock")]
        first = self.boot(program)
        boot = again_if_late(first, "tree", self.variant, program)
        return boot.whole() + compare(boot.cases(program), wanted) + all_quiet(first, boot)

    def unit_ours(self, program):
        boot, cases = self.boot("ours"), []
        if not self.told:
            self.told = True
            cases = boot.whole() + boot.quiet()
        again = again_if_late(boot, "tree", self.variant, program)
        if again is not boot:
            cases += again.whole() + again.quiet()
        return cases + tap.all_run(again.cases(program))


def our_programs():
    """The selftests, and the tests of the demo and of the sample."""
    listed = subprocess.run(["make", "-s", "-f", str(HARNESS / "programs.mk"), "list",
                             f"SRC={BUILD}/tree"], check=True, stdout=subprocess.PIPE, text=True)
    return [SCRIPTS.get(p, p) for p in listed.stdout.split()] + SAMPLE_TESTS


def unit_names():
    """All units, the cheap first."""
    names = ["harness", "lint", "docs", "kunit-um", *smmuv3.KERNELS]
    for v in VARIANTS:
        names += [f"{v}:{what}" for what in ("kunit", *our_programs(), *UPSTREAM)]
    return names


def chosen(name):
    """The units of T=name: one unit, a program on each kernel, or a kernel's."""
    every = unit_names()
    name = name and ":".join(SCRIPTS.get(word, word) for word in name.split(":"))
    picked = [u for u in every if not name or name == u or name in u.split(":")]
    if not picked:
        sys.exit(f"error: there is no test {name}; there are: {' '.join(every)}")
    return picked


def runners(names):
    """What runs each of these units."""
    result = {"harness": unit_harness, "lint": unit_lint, "docs": unit_docs,
              "kunit-um": unit_kunit_um, **smmuv3.units([n for n in names if n in smmuv3.KERNELS])}
    kernels = {v: Kernel(v, [n.split(":")[1] for n in names if n.startswith(f"{v}:")])
               for v in VARIANTS}
    for name in names:
        variant, _, what = name.partition(":")
        if what:
            result[name] = partial(kernels[variant].unit, what)
    return {name: result[name] for name in names}


def unit_semantics(passed):
    """Every statement of the semantics has a case that ran and passed, here."""
    listed = read_list("semantics.list")
    missing = [Case(f"{program} {case}", "fail", "is in semantics.list and did not pass")
               for program, case in listed if (program, case) not in passed]
    return missing or some([Case(f"{p} {c}", "pass", "") for p, c in listed])


def check(name):
    passed = set()
    units = runners(chosen(name))
    if not name:
        units["semantics"] = partial(unit_semantics, passed)
    return run_units(units, passed)


def step(wanted):
    """The tests of one commit of the series: of the kernel, or some of ours."""
    if wanted:
        wanted = [SCRIPTS.get(n, n) for n in wanted]
        if "test-sample" in wanted:
            wanted += SAMPLE_TESTS
        names = [n for n in our_programs() if n.removesuffix("_32") in wanted]
    else:
        names = list(UPSTREAM)
        if "IOMMUFD_EVENTQ_KUNIT_TEST" in (BUILD / "tree/drivers/iommu/iommufd/Kconfig").read_text():
            names.insert(0, "kunit")
    kernel = Kernel("step", names, stock="plain")
    # What is known to fail on the plain kernel may fail here.
    return run_units({f"plain:{n}": partial(kernel.unit, n) for n in names}, set())


def run_units(units, passed):
    """Prints what each shows and the sum; puts into `passed` what passed."""
    count = {"pass": 0, "fail": 0, "skip": 0}
    failures = []
    for unit, run in units.items():
        say(f"{unit} ...")
        try:
            cases = run()
        except BuildFailed as problem:
            cases = [Case("(build)", "fail", str(problem))]
        cases = excuse(unit, cases)
        here = {v: sum(c.verdict == v for c in cases) for v in count}
        for case in cases:
            count[case.verdict] += 1
            if case.verdict == "pass":
                passed.add((unit.partition(":")[2], case.name))
            if case.verdict != "pass":
                print(f"  {case.verdict.upper()} {unit} {case.name}: {case.reason}", flush=True)
            if case.verdict == "fail":
                failures.append(f"{unit} {case.name}")
        say(f"{unit}: {here['pass']} passed, {here['fail']} failed"
            + (f", {here['skip']} skipped" if here["skip"] else ""))
    if failures:
        print("failed:\n  " + "\n  ".join(failures))
    print(f"{count['pass']} passed, {count['fail']} failed"
          + (f", {count['skip']} skipped" if count["skip"] else ""))
    return 1 if count["fail"] else 0


# ---- the stock kernel

def write_list(program, variant, cases, base):
    text = [f"# Verdicts of {program} on the stock kernel ({variant}), base:",
            f"# {base}", "# Made by `make check-stock`; nothing else may be here."]
    path = EXPECTED / f"{program}.{variant}.list"
    new = path.with_suffix(".new")
    new.write_text("\n".join(text + [f"{c.verdict} {c.name}" for c in cases]) + "\n")
    new.replace(path)


def check_stock():
    base = (BUILD / "base.from").read_text().strip()
    bad = 0
    for variant in VARIANTS:
        prepare("base", variant)
        for program in (*UPSTREAM, CONSUMERS) if variant == "plain" else UPSTREAM:
            boot = run_program("base", variant, program)
            cases = boot.cases(program)
            if boot.whole() or any(c.name.startswith("(") for c in cases):
                sys.exit(f"error: {program} did not end on the stock {variant} kernel, "
                         f"see {boot.log}")
            write_list(program, variant, cases, base)
            count = {v: sum(c.verdict == v for c in cases) for v in ("pass", "fail", "skip")}
            say(f"stock {variant} {program}: " + ", ".join(f"{n} {v}" for v, n in count.items()))
            for block in tap.splats(boot.kernel_log()):
                known = known_splat(block)
                bad += not known
                print(f"  {'known' if known else 'NEW'} noise: {block}")
    return 1 if bad else 0


def main():
    # Ctrl-C ends us at once, and what runs below us with it.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    try:
        if sys.argv[1] == "check":
            return check(sys.argv[2] if len(sys.argv) > 2 else None)
        if sys.argv[1] == "step":
            return step(sys.argv[2:])
        if sys.argv[1] == "smmuv3":
            stock = smmuv3.check_tree(sys.argv[2] if len(sys.argv) > 2 else "tree") == "base"
            return smmuv3.compare() if stock else run_units(smmuv3.units(), set())
        return check_stock()
    except BuildFailed as problem:
        return f"error: {problem}"


if __name__ == "__main__":
    sys.exit(main())
