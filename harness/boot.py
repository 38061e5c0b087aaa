# SPDX-License-Identifier: GPL-2.0
"""One boot of a kernel with programs to run, and what its console says: what
each printed, what the kernel said meanwhile. Calls the scripts that build and
boot; which kernels and programs, and what is to come out, others know."""
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import tap
from tap import Case

HARNESS = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("EVENTQ_BUILD") or HARNESS.parent / "build")
EXPECTED = HARNESS / "expected"
OUT = BUILD / "out"
UPSTREAM = ("iommufd", "iommufd_fail_nth")
# A boot that takes longer hangs; the debug kernel is slow without KVM.
SECONDS = {"plain": 600, "debug": 2600, "gcov": 1200, "step": 900, "smmuv3": 600, "smmuv3-debug": 1500}
KUNIT_PARAMETERS = ("kunit.enable=1", "kunit.autorun=1")


def say(text):
    start = int(os.environ.get("EVENTQ_START") or time.time())
    print(f"[{int(time.time()) - start:4d} s] {text}", flush=True)


def script(name, *args, **kw):
    return subprocess.run([str(HARNESS / name), *args], check=False, **kw)


class BuildFailed(Exception):
    pass


def build(name, *args):
    """A build script says itself what is wrong, here it only counts."""
    done = script(name, *args, stderr=subprocess.PIPE, text=True, errors="replace")
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise BuildFailed((done.stderr.strip().splitlines() or [f"{name} failed"])[-1])


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


# What guest/init puts between the parts of a console.
MARK = re.compile(r"=eventq= (cpus \d+|output \S+|ended (\S+) (\d+)|leaks|dmesg|status \d+)")


class Boot:
    """Boots a kernel to run programs; its console is kept in build/out/log."""

    def __init__(self, tree, variant, name, programs, *parameters, seconds=None, more="",
                 count=False, memory=""):
        """more: an initramfs on top of the usual one. count: the clock is to count
        instructions, which takes a single CPU. memory: how much, if not as usual."""
        (OUT / "log").mkdir(parents=True, exist_ok=True)
        self.log = OUT / "log" / f"{tree}-{variant}-{name}.log"
        # Upstream's do one thing at a time; each CPU more costs the emulator.
        self.cpus = 1 if programs[0] in UPSTREAM or count else 2
        words = [tree, variant, "+".join(programs), str(self.log), str(seconds or SECONDS[variant]),
                 *parameters]
        settings = {"CPUS": str(self.cpus), "INITRD": str(more), "MEMORY": memory,
                    "COUNT": "1" if count else ""}
        self.run(words, settings)
        if self.died_of_the_emulator():
            say(f"{name}: the emulator lost a breakpoint before the job began, booting again")
            self.run(words, settings)

    def run(self, words, settings):
        done = script("boot.sh", *words, stderr=subprocess.PIPE, text=True, errors="replace",
                      env={**os.environ, **settings})
        self.stderr = done.stderr
        self.status = {}
        self.sections = self.read()

    def died_of_the_emulator(self):
        """Where one CPU changes code that another is about to run, QEMU can let that
        one meet the breakpoint that guards the change after it is over."""
        return len(self.sections) == 1 and \
            any("Oops: int3" in line for line in self.sections["boot"])

    def read(self):
        """The console by sections: what came before the job is `boot`, what a
        program printed `output PROGRAM`."""
        sections, now = {"boot": []}, "boot"
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        for line in text.replace("\r", "").splitlines():
            if match := MARK.fullmatch(line):
                now = match[1]
                sections[now] = []
                if match[2]:
                    self.status[match[2]] = int(match[3])
            else:
                sections[now].append(line)
        return sections

    def whole(self):
        """Did the guest have its CPUs, without which no race is one, and reach
        its end? If not, the boot is a failed case."""
        if any(s.startswith("status ") for s in self.sections):
            return ([] if f"cpus {self.cpus}" in self.sections else
                    [Case("(CPUs)", "fail", f"the guest does not have {self.cpus} CPUs")])
        sys.stderr.write(self.stderr)
        return [Case("(boot)", "fail", (self.stderr.strip().splitlines() or ["no end"])[-1])]

    def kernel_log(self):
        """All that the kernel said; the ring holds again what the console saw
        while booting."""
        if "dmesg" in self.sections:
            return self.sections["dmesg"] + self.sections.get("leaks", [])
        return [line for lines in self.sections.values() for line in lines]

    def by_program(self):
        """The kernel's log cut where guest/init says in it what it starts."""
        program, lines = "nothing", []
        for line in self.kernel_log():
            if match := re.search(r"\] eventq: (\S+)$", line):
                yield program, lines
                program, lines = match[1], []
            lines.append(line)
        yield program, lines

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
        status = self.status.get(program, "unknown")
        if status not in (0, 4) and all(c.verdict != "fail" for c in cases):
            cases.append(Case("(exit)", "fail", f"exit status {status}"))
        return cases

    def out_of_time(self, program):
        return any(is_late(c) for c in tap.parse(self.sections.get(f"output {program}", [])))


def again_if_late(boot, tree, variant, program, **options):
    if not boot.out_of_time(program):
        return boot
    say(f"{program} ran into a time limit, trying once more")
    return Boot(tree, variant, f"{program}-again", [program], **options)


def all_quiet(*boots):
    """As Boot.quiet(), of each of them: what another boot takes the place of counts."""
    return [case for boot in dict.fromkeys(boots) for case in boot.quiet()]
