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
    units: tuple


def read():
    for line in LIST.read_text().splitlines():
        if words := line.partition("#")[0].split():
            units = () if words[6] == "-" else tuple(words[6].split(","))
            yield Kernel(*words[:5], int(words[5]), units)


KERNELS = {kernel.name: kernel for kernel in read()}
