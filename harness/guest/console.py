#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The one reader of a guest's console, which guest/init divides into sections:
what each program printed and how it ended, leaks, the kernel's log, the end.

usage: console.py LOG boot|output|leaks|dmesg   prints these sections
       console.py LOG status                    exits with the guest's, 124 if it has none
"""
import re
import sys
from pathlib import Path

MARK = re.compile(r"=eventq= (cpus \d+|output \S+|ended (\S+) (\d+)|leaks|dmesg|status (\d+))")


class Console:
    """sections: lines by the text of their mark (`output PROGRAM`); `boot` is what
    came before the first. ended: exit status by program. status: the guest's, or None."""

    def __init__(self, log):
        self.log = Path(log)
        self.sections, self.ended, self.status = {"boot": []}, {}, None
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        now = "boot"
        for line in text.replace("\r", "").splitlines():
            if match := MARK.fullmatch(line):
                now = match[1]
                self.sections[now] = []
                if match[2]:
                    self.ended[match[2]] = int(match[3])
                elif match[4]:
                    self.status = int(match[4])
            else:
                self.sections[now].append(line)

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


def main():
    log, what = sys.argv[1:]
    console = Console(log)
    if what == "status":
        return 124 if console.status is None else console.status
    for name, lines in console.sections.items():
        if name.split()[0] == what:
            print("".join(f"{line}\n" for line in lines), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
