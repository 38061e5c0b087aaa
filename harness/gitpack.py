# SPDX-License-Identifier: GPL-2.0
"""A pack of git blobs, written in one go. Used by tree.py for the base."""
import hashlib
import struct
import zlib
from itertools import accumulate


class Pack:
    """Writes blobs to a pack and its index (gitformat-pack(5), version 2),
    neither compressed nor as deltas. Git's own ways take twice to four times as
    long for the 1.6 GB of a kernel: they hash it three times with a slow SHA-1,
    or make a file of each of 90 000 blobs."""

    BLOB = 3

    def __init__(self, folder, name):
        self.path = folder / f"{name}.new"
        self.file = open(self.path, "wb")
        self.at = self.file.write(self.head(0))
        self.sum = None
        self.index = {}

    @staticmethod
    def head(number):
        return struct.pack(">4sII", b"PACK", 2, number)

    def add(self, data):
        """Stores one blob and returns its id."""
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).digest()
        if blob not in self.index:
            size, head = len(data) >> 4, self.BLOB << 4 | len(data) & 15
            header = bytearray()
            while size:
                header.append(head | 128)
                head, size = size & 127, size >> 7
            header.append(head)
            entry = bytes(header) + zlib.compress(data, 0)
            self.index[blob] = (zlib.crc32(entry), self.at)
            self.at += self.file.write(entry)
        return blob.hex()

    def end(self):
        """The number of objects comes first, and is known last."""
        self.file.close()
        head = self.head(len(self.index))
        self.sum = hashlib.sha1(head)
        with open(self.path, "r+b") as pack:
            pack.write(head)
            while data := pack.read(1 << 24):
                self.sum.update(data)
            pack.write(self.sum.digest())
        name = self.path.with_name(f"pack-{self.sum.hexdigest()}.pack")
        self.write_index(name.with_suffix(".idx"))
        self.path.rename(name)

    def write_index(self, path):
        blobs = sorted(self.index)
        fanout, large = [0] * 256, []
        for blob in blobs:
            fanout[blob[0]] += 1
        offsets = []
        for blob in blobs:
            offset = self.index[blob][1]
            if offset >= 1 << 31:
                large.append(offset)
                offset = 1 << 31 | len(large) - 1
            offsets.append(offset)
        text = b"".join([b"\377tOc", struct.pack(">I", 2),
                         struct.pack(">256I", *accumulate(fanout)), *blobs,
                         *(struct.pack(">I", self.index[b][0]) for b in blobs),
                         struct.pack(f">{len(offsets)}I", *offsets),
                         struct.pack(f">{len(large)}Q", *large), self.sum.digest()])
        path.write_bytes(text + hashlib.sha1(text).digest())
