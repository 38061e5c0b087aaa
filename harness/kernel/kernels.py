# SPDX-License-Identifier: GPL-2.0
"""Reads kernels.list for Python; what its columns mean stands there."""
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).resolve().parent / "kernels.list"


class Kernel(NamedTuple):
    name: str
    sources: str
    arch: str
    made: str
    config: str
    seconds: int
    command: str    # that runs its units
    units: tuple


def read():
    for line in LIST.read_text().splitlines():
        if words := line.partition("#")[0].split():
            command, _, units = words[6].rpartition(":")
            yield Kernel(*words[:5], int(words[5]), command or "check",
                         () if units == "-" else tuple(units.split(",")))


KERNELS = {kernel.name: kernel for kernel in read()}
