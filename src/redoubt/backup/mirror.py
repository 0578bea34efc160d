"""The copy of each file in a data backup, chunk by chunk. A second read stores only chunks that have changed.

A file is not read again if it is certainly unchanged. The file's change time proves that only after the time has been
the same for a while: a write sets the time when the write begins, not when it ends. The wall clock tells how long the
time has been the same, unless the clock was set meanwhile; then only repeated looks tell. A file of one chunk is always
read again: reading costs less than being wrong.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import xxhash

from redoubt.archive.set_manifest import Extent, SetFile
from redoubt.model.bases import BaseFile

CHUNK = 256 * 1024
"""Bytes in a chunk. A chunk is compared, and stored again if it has changed, as a whole."""
_ZEROES = bytes(CHUNK)
_NS = 10**9
_MOST_DRIFT = 0.5
"""Seconds by which the wall clock may differ from the monotonic clock between two looks, if neither was set."""


class TornFileError(Exception):
    """A file became shorter while it was read."""


@dataclass(frozen=True)
class Now:
    """The wall clock in ns since the epoch, and the monotonic one in seconds."""

    wall: int
    monotonic: float


def read_clocks() -> Now:
    """The system's clocks."""
    return Now(time.time_ns(), time.monotonic())


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored chunk: its digest, its length in bytes, and its place in a part."""

    digest: bytes
    length: int
    part: int
    part_offset: int


@dataclass
class Copy:
    """A copied file: its state when last read, whether it had settled then, and its chunks.

    A chunk of zeroes is None. `seconds` is the time that reading took.
    """

    file: BaseFile
    was_settled: bool
    chunks: list[Stored | None] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Change:
    """A chunk of a file that differs from the stored one. `data` is None for zeroes."""

    copy: Copy
    number: int
    data: bytes | None


class Mirror:
    """The copies of all files. `open_file` opens a file; `settling` is the source's, in seconds."""

    def __init__(
        self, open_file: Callable[[BaseFile], int], settling: float, clocks: Callable[[], Now] = read_clocks
    ) -> None:
        self._open = open_file
        self._settling = settling
        self._clocks = clocks
        self._looked = clocks()
        self._clock_was_set = -math.inf
        self._seen: dict[str, tuple[BaseFile, float]] = {}
        self._copies: dict[str, Copy] = {}

    def due(self, files: list[BaseFile]) -> list[BaseFile]:
        """The files to read now, while the engine runs: changed, never read, or settled since the last read."""
        self._watch(files)
        return [file for file in files if self._is_due(file)]

    def last(self, files: list[BaseFile]) -> list[BaseFile]:
        """The files to read while the engine is paused: all that may have changed since they were read."""
        self._watch(files)
        return [file for file in files if file.content <= CHUNK or not self._is_certain(file)]

    def begin(self, file: BaseFile) -> Copy:
        """A new copy of a file, with the chunks stored so far. The copy counts when it is committed."""
        known = self._copies.get(file.path)
        chunks = known.chunks[: _count(file.content)] if known else []
        return Copy(file, self._is_settled(file), chunks + [None] * (_count(file.content) - len(chunks)))

    def changes(self, copy: Copy, check: Callable[[], None]) -> Iterator[Change]:
        """Read a file, and yield the chunks to store. `check` is called before each chunk, and may raise.

        Raises FileNotFoundError if the file is gone, TornFileError if it became shorter.
        """
        descriptor = self._open(copy.file)
        try:
            for number in range(_count(copy.file.content)):
                check()
                began = time.monotonic()
                data = _chunk(descriptor, number, copy.file.content)
                is_other = _differs(copy.chunks[number], data)
                copy.seconds += time.monotonic() - began
                if is_other:
                    yield Change(copy, number, data)
        finally:
            os.close(descriptor)

    def store(self, change: Change, add: Callable[[bytes], tuple[int, int]]) -> None:
        """Store a change: `add` takes the bytes and returns their place."""
        if change.data is None:
            change.copy.chunks[change.number] = None
        else:
            part, offset = add(change.data)
            change.copy.chunks[change.number] = Stored(_digest(change.data), len(change.data), part, offset)

    def commit(self, copy: Copy) -> None:
        """Make a copy the set's copy of the file, once all its changes are stored."""
        self._copies[copy.file.path] = copy

    def seconds_for(self, files: list[BaseFile]) -> float:
        """Estimate the seconds to read these files again, from the time that earlier reads took."""
        size = sum(copy.file.content for copy in self._copies.values())
        pace = sum(copy.seconds for copy in self._copies.values()) / size if size else 0.0
        return sum(self._seconds_for(file, pace) for file in files)

    def put_together(self, files: list[BaseFile]) -> tuple[SetFile, ...]:
        """The files in the form of the set's manifest."""
        return tuple(_file(self._copies[file.path], file) for file in files)

    def _watch(self, files: list[BaseFile]) -> None:
        """Note since when each file has been in its current state."""
        now = self._look()
        before = self._seen
        self._seen = {}
        for file in files:
            seen = before.get(file.path)
            self._seen[file.path] = seen if seen is not None and seen[0] == file else (file, now.monotonic)

    def _look(self) -> Now:
        """Read the clocks, and notice whether the wall clock was set."""
        now = self._clocks()
        passed = now.monotonic - self._looked.monotonic
        if abs((now.wall - self._looked.wall) / _NS - passed) > _MOST_DRIFT:
            self._clock_was_set = now.monotonic
        self._looked = now
        return now

    def _is_settled(self, file: BaseFile) -> bool:
        """Whether every write that set the file's time has ended."""
        now = self._look()
        seen = self._seen.get(file.path)
        if seen is not None and seen[0] == file and now.monotonic - seen[1] >= self._settling:
            return True
        is_wall_clock_good = now.monotonic - self._clock_was_set >= self._settling
        return is_wall_clock_good and now.wall - file.changed_at >= self._settling * _NS

    def _is_certain(self, file: BaseFile) -> bool:
        copy = self._copies.get(file.path)
        return copy is not None and copy.file == file and copy.was_settled

    def _is_due(self, file: BaseFile) -> bool:
        copy = self._copies.get(file.path)
        if copy is None:
            return True
        if file.content <= CHUNK:
            return False  # the last pass reads it in any case
        return copy.file != file or (not copy.was_settled and self._is_settled(file))

    def _seconds_for(self, file: BaseFile, pace: float) -> float:
        copy = self._copies.get(file.path)
        if copy is not None and copy.file.content:
            pace = copy.seconds / copy.file.content
        return file.content * pace


def _chunk(descriptor: int, number: int, size: int) -> bytes | None:
    """A chunk's bytes, None for zeroes. Holes are not read."""
    offset = number * CHUNK
    length = min(CHUNK, size - offset)
    if not _has_data(descriptor, offset, length):
        return None
    data = os.pread(descriptor, length, offset)
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            raise TornFileError("it became shorter while it was read")
        data += more
    return None if data == _ZEROES[:length] else data


def _file(copy: Copy, file: BaseFile) -> SetFile:
    extents: list[Extent] = []
    for number, chunk in enumerate(copy.chunks):
        if chunk is not None:
            _append(extents, Extent(number * CHUNK, chunk.length, chunk.part, chunk.part_offset))
    return SetFile(file.path, file.size, file.mode, tuple(extents))


def _append(extents: list[Extent], new: Extent) -> None:
    """Add an extent; join the extent with the last one if they are adjacent."""
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
    """The number of chunks in a file of that size."""
    return -(-size // CHUNK)


def _differs(known: Stored | None, data: bytes | None) -> bool:
    if known is None or data is None:
        return known is not None or data is not None
    return known.length != len(data) or known.digest != _digest(data)


def _has_data(descriptor: int, offset: int, length: int) -> bool:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) < offset + length
    except OSError as error:
        if error.errno != errno.ENXIO:  # ENXIO: only a hole from there on
            raise
        return False


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)
