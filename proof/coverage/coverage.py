#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots the gcov kernel with what the debug kernel runs but upstream's tests, lets gcovr
say which lines and branches of the event queues ran. Fails if a line did not run, or
if a test failed, as what it ran says little then.
"""
import base64
import binascii
import io
import re
import subprocess
import sys
import tarfile

import check
import tap
from boot import BUILD, KUNIT_PARAMETERS, OUT, Boot, is_late, say

FOLDER = "drivers/iommu/iommufd"
OBJECTS = ("eventq", "eventq_iopf", "eventq_ring", "eventq_viommu")
SOURCE = BUILD / "tree" / FOLDER
# Where the kernel's build has the notes that the counters belong to
NOTES = OUT / "gcov" / FOLDER
REPORT = BUILD / "coverage/index.html"
# The guest's program that prints the counters
SENDER = "send-coverage"


class Failed(Exception):
    """There is nothing to report."""


# ---- the boot

def boot():
    """The archive of the guest's counters, as lines, and the tests that failed.
    Upstream's programs are left out: they test what is not ours."""
    programs = check.our_programs()
    say("booting it with all tests")
    guest = Boot("gcov", "coverage", [*programs, SENDER], *KUNIT_PARAMETERS)
    bad = guest.whole()
    if bad:
        raise Failed(f"{bad[0].name} {bad[0].reason}")
    return guest.sections.get(f"output {SENDER}", []), failures(guest, programs)


def failures(guest, programs):
    """Tests that failed. One that was too slow, on a machine that is busy with
    other things, is none: it covers less."""
    cases = [(p, case) for p in programs for case in tap.all_run(guest.cases(p))]
    kunit = tap.parse(tap.strip_stamps(guest.sections["dmesg"]))
    cases += [("kunit", case) for case in check.some(kunit)]
    say(f"{sum(c.verdict == 'pass' for _, c in cases)} tests passed")
    late = [(p, c) for p, c in cases if is_late(c)]
    for program, case in late:
        say(f"{program} {case.name} ran into a time limit, and covers less for that")
    return [f"a test failed: {p} {c.name}: {c.reason}" for p, c in cases
            if c.verdict == "fail" and (p, c) not in late]


# ---- the numbers

def unpack(lines):
    """Puts the counters that the guest printed beside their notes."""
    try:
        packed = base64.b64decode("".join(lines), validate=True)
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for name in OBJECTS:
                counters = archive.extractfile(f"{name}.gcda").read()
                (NOTES / f"{name}.gcda").write_bytes(counters)
    except (binascii.Error, tarfile.TarError, OSError, EOFError, KeyError) as problem:
        raise Failed(f"the guest sent no counters: {problem}") from None


def gcovr():
    """Prints the table, and says what is wrong. A line that no test can run is to be
    told to gcovr here, by --exclude-lines-by-pattern, with the reason."""
    done = subprocess.run(["gcovr", "--root", SOURCE, "--filter", r".*/eventq(_iopf|_ring|_viommu)?\.[ch]$",
                           "--object-directory", NOTES, "--fail-under-line", "100", "--txt", "-",
                           "--html-details", REPORT, NOTES], check=False, capture_output=True, text=True)
    print(done.stdout)
    say(f"each line and branch is in {REPORT}")
    # It goes on without counters when they are of another build.
    return [x for x in done.stderr.splitlines() if re.search("error|stamp|warning", x, re.I)] \
        or ["gcovr failed"] * (done.returncode != 0)


def main():
    try:
        lines, complaints = boot()
        unpack(lines)
    except Failed as problem:
        return f"error: {problem}"
    REPORT.parent.mkdir(exist_ok=True)
    complaints += gcovr()
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
