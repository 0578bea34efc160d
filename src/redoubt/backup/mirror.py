"""What a data backup holds of each file, chunk by chunk: read again, only what has changed is stored again.

A file need not be read again if it is known to be as it was when it was read. Its time says so only once it has been
the same for a while: a write that goes on sets it when it begins. How long it has been the same is taken from the wall
clock if that has not been set meanwhile, and from having seen it so for that long otherwise. Of a file of one chunk
nothing is taken for granted: reading it costs less than being wrong.
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
"""Bytes that are compared, and stored again if they have changed, as one."""
_ZEROES = bytes(CHUNK)
_NS = 10**9
_MOST_DRIFT = 0.5
"""Seconds by which the wall clock and the monotonic one may part between two looks without one having been set."""


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
    """A chunk that is in a part: its digest, its length in bytes, where it is."""

    digest: bytes
    length: int
    part: int
    part_offset: int


@dataclass
class Copy:
    """What is known of a file: how it was when it was last read, whether it had settled then, its chunks.

    A chunk that is all zero is None. `seconds` is how long reading took.
    """

    file: BaseFile
    was_settled: bool
    chunks: list[Stored | None] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Change:
    """A chunk of a file that is not as it was stored: `data` is None where it is zero now."""

    copy: Copy
    number: int
    data: bytes | None


class Mirror:
    """The copies of all files. `open_file` gives a descriptor for one; `settling` is the source's, in seconds."""

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
        """The files that are worth reading now, while the engine runs: changed, never read, or settled since."""
        self._watch(files)
        return [file for file in files if self._is_due(file)]

    def last(self, files: list[BaseFile]) -> list[BaseFile]:
        """The files that must be read while the engine stands still: all that may be other than they were read."""
        self._watch(files)
        return [file for file in files if file.content <= CHUNK or not self._is_certain(file)]

    def begin(self, file: BaseFile) -> Copy:
        """A new copy of a file, with the chunks that are stored already; it counts when it is committed."""
        known = self._copies.get(file.path)
        chunks = known.chunks[: _count(file.content)] if known else []
        return Copy(file, self._is_settled(file), chunks + [None] * (_count(file.content) - len(chunks)))

    def changes(self, copy: Copy, check: Callable[[], None]) -> Iterator[Change]:
        """Read a file: what of it must be stored. `check` is called before each chunk, and may raise.

        Raises FileNotFoundError for one that is gone, TornFileError for one that became shorter.
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
        """How long it takes to read these files once more, by what reading each of them took, or the others."""
        size = sum(copy.file.content for copy in self._copies.values())
        pace = sum(copy.seconds for copy in self._copies.values()) / size if size else 0.0
        return sum(self._seconds_for(file, pace) for file in files)

    def put_together(self, files: list[BaseFile]) -> tuple[SetFile, ...]:
        """The files as the set has them."""
        return tuple(_file(self._copies[file.path], file) for file in files)

    def _watch(self, files: list[BaseFile]) -> None:
        """Since when each file has been as it is now."""
        now = self._look()
        before = self._seen
        self._seen = {}
        for file in files:
            seen = before.get(file.path)
            self._seen[file.path] = seen if seen is not None and seen[0] == file else (file, now.monotonic)

    def _look(self) -> Now:
        """The clocks; whether the wall clock was set is noticed here."""
        now = self._clocks()
        passed = now.monotonic - self._looked.monotonic
        if abs((now.wall - self._looked.wall) / _NS - passed) > _MOST_DRIFT:
            self._clock_was_set = now.monotonic
        self._looked = now
        return now

    def _is_settled(self, file: BaseFile) -> bool:
        """Whether every write that the file's time tells of has ended."""
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
    """A chunk's bytes, None if they are zero; what a file has no blocks for is not read."""
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
    except OSError as error:
        if error.errno != errno.ENXIO:  # which is: nothing but a hole from there on
            raise
        return False


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)
