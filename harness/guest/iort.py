#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads an ACPI IORT table, in base64, and writes it as one of a coherent host:
every root complex says CPM, DACS and CANWBS (Arm DEN 0049, memory access flags),
without which arm-smmu-v3 has no vIOMMU. The OEM revision goes up, so that Linux
takes it in place of the firmware's.

usage: iort.py <BASE64 >TABLE
"""
import base64
import binascii
import struct
import sys

HEADER = 48             # of the table, with the number and place of the nodes
NODE = 16               # what all nodes have at their beginning
ROOT_COMPLEX = 2
FLAGS = 23              # within the node of a root complex
COHERENT = 0x7


class Damaged(Exception):
    """It is no IORT."""


def nodes(table):
    """Where each of the nodes begins, and its type."""
    count, at = struct.unpack_from("<II", table, 36)
    for _ in range(count):
        if at + NODE > len(table):
            raise Damaged("a node is outside of it")
        kind, length = struct.unpack_from("<BH", table, at)
        if length < NODE or at + length > len(table):
            raise Damaged("a node is outside of it")
        yield at, kind, length
        at += length


def coherent(table):
    """The table as that of a coherent host"""
    if len(table) < HEADER or table[:4] != b"IORT" or len(table) != struct.unpack_from("<I", table, 4)[0]:
        raise Damaged("it has not the header of one, or not its length")
    if sum(table) % 256:
        raise Damaged("its checksum is wrong")
    new, found = bytearray(table), False
    for at, kind, length in nodes(table):
        if kind == ROOT_COMPLEX and length > FLAGS:
            new[at + FLAGS] |= COHERENT
            found = True
    if not found:
        raise Damaged("it has no root complex")
    revision = struct.unpack_from("<I", table, 24)[0]
    struct.pack_into("<I", new, 24, revision + 1)
    new[9] = (new[9] - sum(new)) % 256
    return bytes(new)


def main():
    try:
        table = base64.b64decode("".join(sys.stdin.read().split()), validate=True)
        sys.stdout.buffer.write(coherent(table))
    except (Damaged, binascii.Error) as problem:
        return f"error: the firmware's IORT cannot be used: {problem}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
