"""Log as the engine writes it, made here: groups of any shape in block files of any state, without an engine.

It is written from the format's description alone, so that reader and writer agree by the format and not by shared code.
"""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import xxhash

from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.log import LogPosition

BLOCK = 64 * 1024 * 1024
INFO = 4096
LOG = BLOCK - INFO
PADDING = 1 << 62
LARGEST = 8 * 1024 * 1024


def crc(data: bytes, previous: int = 0) -> int:
    """The engine's CRC-32C."""
    return int(google_crc32c.extend(previous ^ 0xFFFFFFFF, data)) ^ 0xFFFFFFFF


def signed(layout: str, fields: tuple[int, ...], flag: int) -> bytes:
    """A header whose flag's low bits are its checksum."""
    checksum = xxhash.xxh64_intdigest(struct.pack(f"<{layout}", *fields, flag)) & 0xFFFF
    return struct.pack(f">{layout}", *fields, flag | checksum)


def entry(data: bytes, scn: int, flag: int = 0, size: int | None = None) -> bytes:
    """A log entry; `size` is larger than the data where zeros follow."""
    length = len(data) if size is None else size
    return signed("hhiQqq", (0x4C48, 1, length, scn, crc(data)), flag) + data


def group(contents: list[bytes], scn: int, chain: int, log_id: int = 1, flag: int = 0) -> bytes:
    """A group with one log entry for each content."""
    body = b"".join(entry(content, scn) for content in contents)
    checksum = 0
    for content in contents:
        checksum = crc(struct.pack("<q", crc(content)), checksum)
    return group_around(body, checksum, scn, chain, log_id=log_id, flag=flag)


def group_around(
    body: bytes, checksum: int, scn: int, chain: int, *, log_id: int = 1, flag: int = 0, size: int | None = None
) -> bytes:
    """A group header that fits, and a body that may be anything."""
    after = crc(struct.pack("<q", checksum), chain)
    length = len(body) if size is None else size
    return signed("hhiQQqqq", (0x4752, 3, length, 0, scn, after, log_id), flag) + body


def padding(size: int, scn: int, chain: int) -> bytes:
    """The head of a padding group of `size` bytes; the rest of it is zeros."""
    body = entry(bytes(16), scn, PADDING, size - 48 - 32)
    return group_around(body, 0, scn, chain, flag=PADDING, size=size - 48)


def chain_after(group_bytes: bytes) -> int:
    """The accumulated checksum that a group bears."""
    return int(struct.unpack_from(">q", group_bytes, 24)[0])


def block_info(block: int, min_scn: int = 1, min_lsn: int | None = None) -> bytes:
    """The info at the start of a block file."""
    fields = (0x4942, 1, 0, block * LOG if min_lsn is None else min_lsn, min_scn, 2**64 - 1, block)
    return struct.pack(">hhiQQQqq", *fields, crc(struct.pack("<hhiQQQq", *fields)))


class WrittenLog:
    """An engine's log folder, and the engine's answer to where its log ends."""

    def __init__(self, path: Path) -> None:
        self.base = BaseDir(path)
        self.base.log.mkdir(parents=True)
        self.ends: list[LogPosition] = [LogPosition(0, 0, 0)]
        self.is_down = False
        self.asked = 0

    @property
    def end(self) -> LogPosition:
        """Where the log ends."""
        return self.ends[-1]

    def end_of_log(self) -> int:
        """What the engine says; it counts how often it is asked."""
        self.asked += 1
        if self.is_down:
            raise ConnectionError("no engine")
        return self.end.lsn

    def next_group(self, *contents: bytes) -> bytes:
        """The group that comes next, not written yet."""
        return group(list(contents), self.end.scn + 10, self.end.chain or 0, log_id=len(self.ends))

    def append(self, *contents: bytes) -> bytes:
        """The engine writes a group of these contents."""
        data = self.next_group(*contents)
        self._wrote(data, len(data))
        return data

    def fill_block(self) -> None:
        """The engine fills the present block with padding, so that the next group begins the next one."""
        left = LOG - self.end.lsn % LOG
        while left:
            size = left if left <= LARGEST else LARGEST // 2
            self._wrote(padding(size, self.end.scn + 10, self.end.chain or 0), size)
            left -= size

    def put(self, lsn: int, data: bytes) -> None:
        """Bytes appear in the log's file, whole groups or not."""
        path = self.block(lsn // LOG)
        if not path.exists():
            with path.open("wb") as file:
                file.write(block_info(lsn // LOG, self.end.scn))
                file.truncate(BLOCK)
        with path.open("r+b") as file:
            file.seek(INFO + lsn % LOG)
            file.write(data)

    def block(self, number: int) -> Path:
        """The file of a block."""
        return self.base.log / str(number)

    def _wrote(self, data: bytes, size: int) -> None:
        self.put(self.end.lsn, data)
        self.ends.append(LogPosition(self.end.lsn + size, self.end.scn + 10, chain_after(data)))
