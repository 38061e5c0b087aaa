#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the tests and counts. Which units there are, what each must show, and the
comparison with proof/expected/ stand here; which of them run on a kernel is in
kernels.list, reading results in tap.py, booting in boot.py.

usage: check.py check|check-kernels [name] | check-stock | smmuv3 [build/base] |
       commit [program]...
       check-kernels: on those of the other kinds of kernels
       smmuv3: those of the arm64 guest, or how they are on the stock kernel
       commit: on one of series.py, of the tree in build/tree: those of our
       programs, or upstream's selftests and the KUnit tests that there are
"""
import os
import re
import signal
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import partial

import smmuv3
import tap
from boot import BUILD, BUILDER, EXPECTED, GUESTS, KUNIT_PARAMETERS, OUT, ROOT, UPSTREAM
from boot import Boot, BuildFailed, again_if_late, all_quiet, build, known_splat, read_list, say, \
    script, some
from kernels import KERNELS
from tap import Case

BASE = os.environ["BASE"]
# Its verdicts on the stock kernel say what we repair; on ours all is to pass.
CONSUMERS = "iommufd_eventq_consumers"
# Takes the mock device of the series, and the complaints of a debug kernel are a part
# of what it shows.
ATTACH = "iommufd_eventq_attach"
DEMO = ("test-sample", "test-demo")
# Programs that the guest has a script for, which runs them as they need it.
SCRIPTS = {"iommufd_eventq_fail_nth": "test-fail-nth"}


# ---- verdicts that are expected

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
    known = [rest.split(None, 1) for u, rest in read_list(EXPECTED / "known-failures.list") if u == unit]
    result = []
    for case in cases:
        why = next((why for pattern, why in known if fnmatchcase(case.name, pattern)), None)
        if why is not None and case.verdict == "fail":
            case = case._replace(verdict="skip", reason="known failure: " + why)
        elif why is not None and case.verdict == "pass":
            case = case._replace(verdict="fail", reason="passes, yet is in known-failures.list")
        result.append(case)
    return result


# ---- units

def tap_of(name):
    done = script(name, stdout=subprocess.PIPE, text=True)
    return some(tap.parse(done.stdout.splitlines()))


def unit_kunit_um():
    build("harness/kernel/kunit-um.sh")
    log = (OUT / "kunit-um.log").read_text(errors="replace").splitlines()
    text = tap.strip_stamps(log)
    bad = [Case("(kernel log)", "fail", b) for b in tap.splats(text)]
    return some(tap.parse(text)) + (bad or [Case("(kernel log)", "pass", "")])


def prepare(kernel):
    build("harness/guest/prepare.sh", kernel)


class Guests:
    """One of our kernels and the boots of it that the chosen units need, which begin
    when it is built. Our programs share two of them: the unit that asks first gets
    the cases of a boot itself."""

    def __init__(self, kernel, units, stock, prepare=prepare):
        """stock: the kernel whose verdicts are expected of upstream's programs"""
        self.kernel, self.stock, self.prepare = kernel, stock, prepare
        self.running, self.told = {}, set()
        ours = [u for u in units if u not in ("kunit", "sample", *UPSTREAM)]
        # The longest first.
        self.wanted = {"ours": ours[0::2], "ours-too": ours[1::2]}
        self.wanted |= {u: [u] for u in UPSTREAM if u in units}
        self.wanted |= {"kunit": ["none"]} if "kunit" in units else {}
        self.ready = BUILDER.submit(self.start)

    def start(self):
        self.prepare(self.kernel)
        for name, programs in self.wanted.items():
            if programs:
                more = KUNIT_PARAMETERS if name == "kunit" else ()
                self.running[name] = GUESTS.submit(Boot, self.kernel, name, programs, *more)

    def boot(self, name):
        self.ready.result()
        return self.running[name].result()

    def unit(self, name):
        special = {"kunit": self.unit_kunit, "sample": self.unit_sample}
        if name in special:
            return special[name]()
        return self.unit_upstream(name) if name in UPSTREAM else self.unit_ours(name)

    def unit_kunit(self):
        boot = self.boot("kunit")
        cases = tap.parse(tap.strip_stamps(boot.sections.get("dmesg", [])))
        return boot.whole() + some(cases) + boot.quiet()

    def unit_sample(self):
        """What the kernel's own build makes of samples/iommufd runs."""
        self.ready.result()
        program = OUT / self.kernel / "samples/iommufd/iommufd_eventq_vmm"
        done = subprocess.run([program, "--help"], capture_output=True, check=False) \
            if program.exists() else None
        return [Case("iommufd_eventq_vmm", "pass", "") if done and done.returncode == 0 else
                Case("iommufd_eventq_vmm", "fail", "the kernel's build made no program that runs")]

    def unit_upstream(self, program):
        path = verdicts(program, self.stock)
        wanted = [(case, verdict) for verdict, case in read_list(path)]
        if not wanted:
            return [Case("(list)", "fail", f"{path.relative_to(ROOT)} is missing: make check-stock")]
        first = self.boot(program)
        boot = again_if_late(first, self.kernel, program)
        return boot.whole() + compare(boot.cases(program), wanted) + all_quiet(first, boot)

    def unit_ours(self, program):
        name, cases = next(n for n, programs in self.wanted.items() if program in programs), []
        boot = self.boot(name)
        if name not in self.told:
            self.told.add(name)
            cases = boot.whole() + boot.quiet()
        again = again_if_late(boot, self.kernel, program)
        if again is not boot:
            cases += again.whole() + again.quiet()
        return cases + tap.all_run(again.cases(program))


def listed(goal, arch):
    """Programs of one goal of programs.mk, by the names that the guest knows."""
    done = script("harness/guest/programs.sh", "list", goal, *([] if arch == "x86" else [arch]),
                  stdout=subprocess.PIPE, text=True)
    return [SCRIPTS.get(p, p) for p in done.stdout.split()]


def units_of(kernel):
    """The units of a kernel's line in kernels.list."""
    several = {"kselftest": lambda: listed("kselftest", kernel.arch),
               "selftests": lambda: listed("selftests", kernel.arch),
               "demo": lambda: DEMO, "upstream": lambda: UPSTREAM}
    return [unit for word in kernel.units for unit in several.get(word, lambda w=word: [w])()]


def our_programs():
    """The selftests, and the tests of the sample."""
    return [u for u in units_of(KERNELS["debug"]) if u not in ("kunit", *UPSTREAM)]


# Units that boot no kernel of kernels.list, the cheap first
ALONE = {"harness": partial(tap_of, "harness/test.sh"), "lint": partial(tap_of, "proof/lint/lint.sh"),
         "docs": partial(tap_of, "proof/lint/docs.sh"), "kunit-um": unit_kunit_um}


def unit_names(command):
    guests = [f"{k.name}:{unit}" for k in KERNELS.values() if k.command == command for unit in units_of(k)]
    return [*ALONE, *guests] if command == "check" else guests


def chosen(command, name):
    """The units of T=name: one unit, a program on each kernel, or a kernel's."""
    every = unit_names(command)
    name = name and ":".join(SCRIPTS.get(word, word) for word in name.split(":"))
    picked = [u for u in every if not name or name == u or name in u.split(":")]
    if not picked:
        sys.exit(f"error: there is no test {name}; there are: {' '.join(every)}")
    return picked


def runners(names):
    """What runs each of these units."""
    result = dict(ALONE)
    for kernel in KERNELS:
        mine = [n.split(":")[1] for n in names if n.startswith(f"{kernel}:")]
        if mine:
            guests = Guests(kernel, mine, kernel)
            result |= {f"{kernel}:{unit}": partial(guests.unit, unit) for unit in mine}
    return {name: result[name] for name in names}


def unit_semantics(passed):
    """Every statement of the semantics has a case that ran and passed, here."""
    listed = read_list(EXPECTED / "semantics.list")
    missing = [Case(f"{program} {case}", "fail", "is in semantics.list and did not pass")
               for program, case in listed if (program, case) not in passed]
    return missing or some([Case(f"{p} {c}", "pass", "") for p, c in listed])


def check_smmuv3():
    names = [name for command in ("check-smmuv3", "check") for name in chosen(command, smmuv3.PROGRAM)]
    return run_units(runners(names), set())


def check(command, name):
    passed = set()
    units = runners(chosen(command, name))
    if command == "check" and not name:
        units["semantics"] = partial(unit_semantics, passed)
    return run_units(units, passed)


def prepare_commit(kernel):
    """Only programs that its own Makefile makes: the proof's are for the last commit."""
    build("harness/kernel/kernel.sh", kernel)
    for programs in ("upstream", "kselftest"):
        build("harness/guest/programs.sh", programs)
    build("harness/guest/initramfs.sh")


def commit(programs):
    """The tests of one commit of the series: of the kernel, or some of ours."""
    names = programs or list(UPSTREAM)
    kconfig = (BUILD / "tree/drivers/iommu/iommufd/Kconfig").read_text()
    if not programs and "IOMMUFD_EVENTQ_KUNIT_TEST" in kconfig:
        names.insert(0, "kunit")
    guests = Guests("commit", names, "plain", prepare_commit)
    # What is known to fail on the plain kernel may fail here.
    return run_units({f"plain:{n}": partial(guests.unit, n) for n in names}, set())


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

def verdicts(program, kernel):
    """The list of what the program shows on the stock kernel that matches a kernel."""
    return EXPECTED / BASE / f"{program}.{kernel}.list"


def write_list(program, kernel, cases):
    base = (BUILD / "base.from").read_text().strip()
    text = [f"# Verdicts of {program} on the stock kernel ({kernel}), base:",
            f"# {base}", "# Made by `make check-stock`; nothing else may be here."]
    path = verdicts(program, kernel)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text("\n".join(text + [f"{c.verdict} {c.name}" for c in cases]) + "\n")
    new.replace(path)


def check_stock():
    bad = 0
    for kernel in ("plain", "debug"):
        prepare(f"stock-{kernel}")
        for program in (*UPSTREAM, CONSUMERS) if kernel == "plain" else UPSTREAM:
            first = Boot(f"stock-{kernel}", program, [program])
            boot = again_if_late(first, f"stock-{kernel}", program)
            cases = boot.cases(program)
            if boot.whole() or any(c.name.startswith("(") for c in cases):
                sys.exit(f"error: {program} did not end on the stock {kernel} kernel, "
                         f"see {boot.log}")
            write_list(program, kernel, cases)
            count = {v: sum(c.verdict == v for c in cases) for v in ("pass", "fail", "skip")}
            say(f"stock {kernel} {program}: " + ", ".join(f"{n} {v}" for v, n in count.items()))
            for block in tap.splats(boot.kernel_log()):
                known = known_splat(block)
                bad += not known
                print(f"  {'known' if known else 'NEW'} noise: {block}")
    check_stock_attachments()
    return 1 if bad else 0


def stock_attachment(name):
    """A boot for a case: the kernel does not outlive some. Nothing is passed of which
    the kernel complains, and the list says how."""
    boot = Boot("stock-mock", name, [",".join([ATTACH, "-r", name])], "kmemleak=off")
    splats = re.findall(r"(?:BUG: KASAN|KASAN|WARNING|BUG): [^\n\[/]*", "\n".join(boot.kernel_log()))
    verdict = next((c.verdict for c in boot.cases(ATTACH) if c.name == name), "fail")
    return Case(f"{name}  # {splats[0].split('+')[0].strip()}" if splats else name,
                "fail" if splats else verdict, "")


def names_of(program):
    """The cases of a program of ours. It lists its fixtures with, in two columns beside
    each other, their variants and their tests."""
    done = subprocess.run([OUT / "programs/selftests" / program, "-l"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    fixtures = {}
    for line in done.stdout.partition("---\n")[2].replace("-", "").splitlines():
        fixture, variant, test = (line[a:b].strip() for a, b in ((0, 21), (21, 47), (47, None)))
        variants, tests = fixtures[fixture] if fixture in fixtures else \
            fixtures.setdefault(fixture, ([], [])) if fixture else list(fixtures.values())[-1]
        variants += [variant] if variant else []
        tests += [test] if test else []
    return [".".join(filter(None, (fixture, variant, test)))
            for fixture, (variants, tests) in fixtures.items()
            for variant in variants or [""] for test in tests]


def check_stock_attachments():
    prepare("stock-mock")
    cases = list(GUESTS.map(stock_attachment, names_of(ATTACH)))
    write_list(ATTACH, "mock", cases)
    count = {v: sum(c.verdict == v for c in cases) for v in ("pass", "fail")}
    say(f"stock mock {ATTACH}: " + ", ".join(f"{n} {v}" for v, n in count.items()))


def main():
    # Ctrl-C ends us at once, threads included, and what runs below us with it.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        if sys.argv[1] in ("check", "check-kernels"):
            return check(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
        if sys.argv[1] == "commit":
            return commit(sys.argv[2:])
        if sys.argv[1] == "smmuv3":
            stock = smmuv3.is_stock(sys.argv[2] if len(sys.argv) > 2 else "tree")
            return smmuv3.compare() if stock else check_smmuv3()
        return check_stock()
    except BuildFailed as problem:
        return f"error: {problem}"


if __name__ == "__main__":
    sys.exit(main())
