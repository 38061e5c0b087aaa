# SPDX-License-Identifier: GPL-2.0
"""One boot of a kernel with programs to run, and the cases that its console makes:
what the programs printed, what the kernel said meanwhile. Calls the scripts that
build and boot; which kernels and programs, and what is to come out, others know."""
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tap
from console import Console
from kernels import KERNELS
from tap import Case

ROOT = Path(__file__).resolve().parents[2]
PROOF = ROOT / "proof"
BUILD = Path(os.environ.get("EVENTQ_BUILD") or ROOT / "build")
EXPECTED = PROOF / "expected"
OUT = BUILD / "out"
UPSTREAM = ("iommufd", "iommufd_fail_nth")
KUNIT_PARAMETERS = ("kunit.enable=1", "kunit.autorun=1")
CPUS = int(os.environ.get("JOBS") or os.cpu_count() or 1)
# One build after the other, beside which guests run. A guest keeps little more than
# one CPU busy, so there is one for each.
BUILDER, GUESTS = ThreadPoolExecutor(1), ThreadPoolExecutor(CPUS)


def say(text):
    start = int(os.environ.get("EVENTQ_START") or time.time())
    print(f"[{int(time.time()) - start:4d} s] {text}", flush=True)


def script(name, *args, **kw):
    """Runs a script, which is named by its path from the root."""
    return subprocess.run([str(ROOT / name), *args], check=False, **kw)


class BuildFailed(Exception):
    pass


def build(name, *args):
    """A build script says itself what is wrong, here it only counts. Guests, which
    have time limits, go before it."""
    done = subprocess.run(["nice", str(ROOT / name), *args], check=False, stderr=subprocess.PIPE,
                          text=True, errors="replace")
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise BuildFailed((done.stderr.strip().splitlines() or [f"{name} failed"])[-1])


def read_list(path):
    """Lines `first rest` of a list, with # comments."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split(None, 1) for line in lines if line.strip() and line[0] != "#"]


def some(cases):
    return cases or [Case("(tests)", "fail", "no test ran")]


def is_late(case):
    """Did it fail for a time limit? That says nothing on a busy machine."""
    return case.verdict == "fail" and "terminated by timeout" in case.reason


def known_splat(block):
    """Is it one that the stock kernel makes too? Spaces in a pattern of the
    list match any space, line ends included."""
    for line in (EXPECTED / "known-splats.list").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern = line.split("  ")[0].strip()
        if re.search(pattern, block, re.S):
            return True
    return False


class Boot(Console):
    """Boots a kernel to run programs; its console is kept in build/out/log."""

    def __init__(self, kernel, name, programs, *parameters, seconds=None, more="",
                 count=False, memory="", cpus=0, image=""):
        """more: an initramfs besides the usual one (see INITRD of boot.sh). count: the
        clock is to count instructions, which takes a single CPU. memory: how much, if
        not as usual. image: one that is not the kernel's own."""
        (OUT / "log").mkdir(parents=True, exist_ok=True)
        log = OUT / "log" / f"{kernel}-{name}.log"
        # Upstream's do one thing at a time; each CPU more costs the emulator.
        self.cpus = cpus or (1 if programs[0] in UPSTREAM or count else 2)
        words = [kernel, "+".join(programs), str(log),
                 str(seconds or KERNELS[kernel].seconds), *parameters]
        settings = {"CPUS": str(self.cpus), "MEMORY": memory, "COUNT": "1" if count else "",
                    "IMAGE": str(image), **({"INITRD": str(more)} if more else {})}
        self.run(words, settings, log)
        if self.died_of_the_emulator():
            say(f"{name}: the emulator met a breakpoint that was gone, booting again")
            self.run(words, settings, log)

    def run(self, words, settings, log):
        self.stderr = script("harness/guest/boot.sh", *words, stderr=subprocess.PIPE, text=True,
                             errors="replace", env={**os.environ, **settings}).stderr
        Console.__init__(self, log)

    def died_of_the_emulator(self):
        """Before 8.1 QEMU may, where one CPU changes code that another is about to run,
        let that one meet the breakpoint that guards the change after it is over: the
        byte that it trapped on is none any more. No kernel can do that."""
        said = "\n".join(line for lines in self.sections.values() for line in lines)
        return re.search(r"Oops: int3(?:(?!Oops: ).)*?Code: [^<\n]*(?!cc)[0-9a-f]{2} <", said, re.S)

    def whole(self):
        """Did the guest have its CPUs, without which no race is one, and reach
        its end? If not, the boot is a failed case."""
        if self.status is not None:
            return ([] if f"cpus {self.cpus}" in self.sections else
                    [Case("(CPUs)", "fail", f"the guest does not have {self.cpus} CPUs")])
        sys.stderr.write(self.stderr)
        return [Case("(boot)", "fail", (self.stderr.strip().splitlines() or ["no end"])[-1])]

    def quiet(self):
        """One case: the kernel log has no line that nobody may cause."""
        bad = [f"{block}\n  while {program} ran" for program, lines in self.by_program()
               for block in tap.splats(lines) if not known_splat(block)]
        if not bad:
            return [Case("(kernel log)", "pass", "")]
        return [Case(f"(kernel log {n})", "fail", f"{block}\n  in {self.log}")
                for n, block in enumerate(dict.fromkeys(bad[:10]), 1)]

    def cases(self, program):
        """A program that fails without a failing case says so by its status."""
        cases = some(tap.parse(self.sections.get(f"output {program}", [])))
        status = self.ended.get(program, "unknown")
        if status not in (0, 4) and all(c.verdict != "fail" for c in cases):
            cases.append(Case("(exit)", "fail", f"exit status {status}"))
        return cases

    def out_of_time(self, program):
        return any(is_late(c) for c in tap.parse(self.sections.get(f"output {program}", [])))


def again_if_late(boot, kernel, program):
    if not boot.out_of_time(program):
        return boot
    say(f"{program} ran into a time limit, trying once more")
    return Boot(kernel, f"{program}-again", [program])


def all_quiet(*boots):
    """As Boot.quiet(), of each of them: what another boot takes the place of counts."""
    return [case for boot in dict.fromkeys(boots) for case in boot.quiet()]
