"""What a data backup holds of each file, chunk by chunk: read again, only what has changed is stored again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import xxhash

from redoubt.archive.set_manifest import Extent, SetFile
from redoubt.model.bases import BaseFile

CHUNK = 256 * 1024
"""Bytes that are compared, and stored again if they have changed, as one."""
_ZEROES = bytes(CHUNK)
_NS = 10**9


@dataclass(frozen=True)
class Stored:
    """A chunk that is in a part: its digest, its length in bytes, where it is."""

    digest: bytes
    length: int
    part: int
    part_offset: int


@dataclass
class Copy:
    """What is known of a file: how it was when it was last read, when that began (ns since the epoch), its chunks.

    A chunk that is all zero is None.
    """

    file: BaseFile
    read_at: int
    chunks: list[Stored | None] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A chunk of a file that is not as it was stored: `data` is None where it is zero now."""

    copy: Copy
    number: int
    data: bytes | None


class Mirror:
    """The copies of all files. `open_file` gives a descriptor for a path; `settling` is the source's, in seconds."""

    def __init__(self, open_file: Callable[[str], int], settling: float) -> None:
        self._open = open_file
        self._settling = settling
        self._copies: dict[str, Copy] = {}
        self._bytes_read = 0
        self._seconds_reading = 0.0

    def stale(self, files: list[BaseFile]) -> list[BaseFile]:
        """The files that may have changed since they were read, or were never read."""
        return [file for file in files if not self._is_certain(file)]

    def begin(self, file: BaseFile) -> Copy:
        """A new copy of a file, with the chunks that are stored already; it counts when it is committed."""
        known = self._copies.get(file.path)
        chunks = known.chunks[: _count(file.content)] if known else []
        return Copy(file, time.time_ns(), chunks + [None] * (_count(file.content) - len(chunks)))

    def changes(self, copy: Copy, check: Callable[[], None]) -> Iterator[Change]:
        """Read a file: what of it must be stored. `check` is called between chunks, and may raise.

        Raises FileNotFoundError for one that is gone.
        """
        descriptor = self._open(copy.file.path)
        try:
            for number, data in self._read(descriptor, copy.file.content):
                check()
                if _differs(copy.chunks[number], data):
                    yield Change(copy, number, data)
        finally:
            os.close(descriptor)

    def store(self, change: Change, add: Callable[[bytes], tuple[int, int]]) -> None:
        """Keep a change: `add` takes its bytes and says where they are."""
        if change.data is None:
            change.copy.chunks[change.number] = None
        else:
            part, offset = add(change.data)
            change.copy.chunks[change.number] = Stored(_digest(change.data), len(change.data), part, offset)

    def commit(self, copy: Copy) -> None:
        """Every change of a copy is stored: it is what the set has of the file now."""
        self._copies[copy.file.path] = copy

    def seconds_for(self, files: list[BaseFile]) -> float:
        """How long it takes to read these files once more, by what reading took so far."""
        size = sum(file.content for file in files)
        return size * self._seconds_reading / self._bytes_read if self._bytes_read else 0.0

    def put_together(self, files: list[BaseFile]) -> tuple[SetFile, ...]:
        """The files as the set has them."""
        return tuple(_file(self._copies[file.path]) for file in files)

    def _is_certain(self, file: BaseFile) -> bool:
        copy = self._copies.get(file.path)
        if copy is None or copy.file != file:
            return False
        return copy.read_at - file.changed_at >= self._settling * _NS

    def _read(self, descriptor: int, size: int) -> Iterator[tuple[int, bytes | None]]:
        """The chunks in order, None for one that is zero; what a file has no blocks for is not read."""
        for number in range(_count(size)):
            began, offset = time.monotonic(), number * CHUNK
            length = min(CHUNK, size - offset)
            data = os.pread(descriptor, length, offset) if _has_data(descriptor, offset, length) else b""
            data = data.ljust(length, b"\0")  # it was cut short just now, and will be looked at again
            is_zero = data == _ZEROES[:length]
            self._bytes_read += length
            self._seconds_reading += time.monotonic() - began
            yield number, None if is_zero else data


def _file(copy: Copy) -> SetFile:
    extents: list[Extent] = []
    for number, chunk in enumerate(copy.chunks):
        if chunk is not None:
            _append(extents, Extent(number * CHUNK, chunk.length, chunk.part, chunk.part_offset))
    return SetFile(copy.file.path, copy.file.size, copy.file.mode, tuple(extents))


def _append(extents: list[Extent], new: Extent) -> None:
    """Add an extent, as one with the last if it goes on there."""
    last = extents[-1] if extents else None
    if (
        last is not None
        and last.part == new.part
        and last.offset + last.length == new.offset
        and last.part_offset + last.length == new.part_offset
    ):
        extents[-1] = Extent(last.offset, last.length + new.length, last.part, last.part_offset)
    else:
        extents.append(new)


def _count(size: int) -> int:
    """Chunks that a file of that size has."""
    return -(-size // CHUNK)


def _differs(known: Stored | None, data: bytes | None) -> bool:
    if known is None or data is None:
        return known is not None or data is not None
    return known.length != len(data) or known.digest != _digest(data)


def _has_data(descriptor: int, offset: int, length: int) -> bool:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) < offset + length
    except OSError:  # nothing but a hole from there on
        return False


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)
