# SPDX-License-Identifier: GPL-2.0
"""Proves tests of code that is built in: a kernel for each mutant, and a boot of it in
which the case that it names must fail. Without a mutant, all these cases pass in one
boot, and the kernel is quiet. These are the tests of the arm64 guest, for the driver, and
the one of attachments, for the IOMMU core and io-pgfault."""
import subprocess
from concurrent.futures import ThreadPoolExecutor

from boot import CPUS, OUT, Boot, build, is_late, say, script
from mutant import Wrong, change, first_error, restore
from smmuv3 import PROGRAM as SMMUV3


def words(mutant):
    """What its program runs the case by; that of the arm64 guest tries both ways to read."""
    name = mutant.test[1]
    return ("-t", name.split(".")[2]) if mutant.kernel == "smmuv3" else ("-r", name)


def program(mutant):
    return SMMUV3 if mutant.kernel == "smmuv3" else mutant.test[0]


def image(name):
    return OUT / "mutants" / f"{name}.Image"


def kernel(kind, name):
    """Builds it from the sources as they are now."""
    image(name).parent.mkdir(parents=True, exist_ok=True)
    done = script("proof/mutants/image.sh", kind, str(image(name)), stderr=subprocess.PIPE, text=True,
                  errors="replace")
    if done.returncode:
        raise Wrong(f"{name} does not build: {first_error(done.stderr)}")


def boot(name, mutants):
    """What came of the cases that these mutants name, and of the kernel's log, by name.
    A case that ran into its time limit shows nothing."""
    chosen = [word for pair in dict.fromkeys(map(words, mutants)) for word in pair]
    name_of = program(mutants[0])
    done = Boot(f"mutants-{mutants[0].kernel}", name, [",".join([name_of, *chosen])],
                image=image(name))
    image(name).unlink()
    return {c.name: "timeout" if is_late(c) else c.verdict
            for c in done.cases(name_of) + done.whole() + done.quiet()}


def with_mutant(mutant):
    before = change(mutant)
    try:
        kernel(mutant.kernel, mutant.name)
    finally:
        restore(before)


def shows(mutant, verdicts):
    """Does what came of its boot show the mutant, by its case or by the kernel's log?"""
    if mutant.sign == "splat":
        return any(name.startswith("(kernel log ") for name in verdicts)
    return verdicts.get(mutant.test[1]) == "fail"


def report(mutant, verdicts):
    """Nothing, or who was not caught"""
    if shows(mutant, verdicts):
        say(f"caught {mutant.name} by {' '.join(mutant.test)}")
        return []
    say(f"NOT CAUGHT {mutant.name} by {' '.join(mutant.test)}")
    verdict = verdicts.get(mutant.test[1], "did not end")
    return [f"{mutant.name} ({' '.join(mutant.test)}): the case: {verdict}"]


def run(mutants):
    """Those of one kind. Boots one while the next is built. Returns what was not caught."""
    kind = mutants[0].kernel
    build("harness/guest/prepare.sh", f"mutants-{kind}")
    survivors, running = [], []
    with ThreadPoolExecutor(CPUS) as pool:
        kernel(kind, f"control-{kind}")
        control = pool.submit(boot, f"control-{kind}", mutants)
        for mutant in sorted(mutants, key=lambda m: m.hunks[0][0]):
            try:
                with_mutant(mutant)
            except Wrong as problem:
                survivors.append(str(problem))
                say(f"NOT CAUGHT {problem}")
                continue
            running.append((mutant, pool.submit(boot, mutant.name, [mutant])))
        for mutant, booted in running:
            survivors += report(mutant, booted.result())
        bad = [f"{name} ({verdict})" for name, verdict in control.result().items() if verdict != "pass"]
    if bad:
        raise Wrong("without a mutant: " + ", ".join(bad))
    return survivors
