"""Mirrors: what is put together is the files as they were when they were read last, byte for byte."""

from __future__ import annotations

import errno
import math
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redoubt.backup import mirror as mirroring
from redoubt.backup.mirror import Mirror, Now, TornFileError
from redoubt.model.bases import BaseFile
from tests.dose import dose

from .fakes import content_of, listing, put_together

CHUNK = 4096
SETTLING = 10.0
LONGEST_WRITE = 5.0
TICK = 4_000_000
NAMES = ("meta.db", "meta.db-wal", "block_file", "slog")
_NS = 10**9


@pytest.fixture(autouse=True, scope="module")
def _small_chunks() -> Iterator[None]:
    """So that a small file has several."""
    with mock.patch.multiple(mirroring, CHUNK=CHUNK, _ZEROES=bytes(CHUNK)):
        yield


@dataclass
class Disk:
    """A folder that is written to as an engine does: some writes take a while, and set the file's time as they begin.

    The file system's clock has ticks of 4 ms, and may be set.
    """

    root: Path
    dice: random.Random
    wall: int = 1_800_000_000 * _NS
    monotonic: float = 1000.0
    stamps: dict[int, int] = field(default_factory=dict)
    under_way: list[tuple[float, Path, int, bytes]] = field(default_factory=list)

    def clocks(self) -> Now:
        """See `read_clocks`."""
        return Now(self.wall, self.monotonic)

    def files(self) -> list[BaseFile]:
        """The listing."""
        return [
            BaseFile(each.path, each.size, each.content, each.mode, self.stamps[each.node], each.node)
            for each in listing(self.root)
        ]

    def open(self, file: BaseFile) -> int:
        """As a source does."""
        descriptor = os.open(self.root / file.path, os.O_RDONLY)
        if os.fstat(descriptor).st_ino != file.node:
            os.close(descriptor)
            raise FileNotFoundError(file.path)
        return descriptor

    def change(self) -> None:
        """One thing that may happen."""
        path = self.root / self.dice.choice(NAMES)
        happenings: list[Callable[[Path], None]] = [self._write, self._write, self._write, self._cut, self._clear]
        happenings += [self._remove, self._rename, self._pass, self._pass, self._set_clock]
        self.dice.choice(happenings)(path)

    def stop(self) -> None:
        """What is under way may end or not, now."""
        self.dice.shuffle(self.under_way)
        while self.under_way:
            if self.dice.random() < 0.5:
                self._land()
            else:
                self.under_way.pop(0)

    def _touch(self, path: Path) -> None:
        self.stamps[path.stat().st_ino] = self.wall // TICK * TICK

    def _write(self, path: Path) -> None:
        """Some at once, some under way for a while; some zeros, some past the end."""
        path.open("ab").close()
        size = path.stat().st_size
        length = self.dice.choice([1, 100, CHUNK, 2 * CHUNK])
        data = self.dice.randbytes(length) if self.dice.random() < 0.8 else bytes(length)
        if self.dice.random() < 0.5:
            offset = self.dice.choice([0, CHUNK, size, size + 2 * CHUNK])
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(data)
        elif size >= length:
            offset = self.dice.randrange(size - length + 1)
            self.under_way.append((self.monotonic + LONGEST_WRITE, path, offset, data))
        self._touch(path)

    def _land(self) -> None:
        _, path, offset, data = self.under_way.pop(0)
        with suppress(FileNotFoundError), path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size >= offset + len(data):
                file.seek(offset)
                file.write(data)

    def _cut(self, path: Path) -> None:
        if path.exists():
            os.truncate(path, self.dice.randrange(path.stat().st_size + 1))
            self._touch(path)

    def _clear(self, path: Path) -> None:
        """A file of that size without content: a hole."""
        if path.exists():
            size = path.stat().st_size
            os.truncate(path, 0)
            os.truncate(path, size)
            self._touch(path)

    def _remove(self, path: Path) -> None:
        self._end_writes_to(path)
        path.unlink(missing_ok=True)

    def _rename(self, path: Path) -> None:
        other = self.root / self.dice.choice(NAMES)
        if path.exists() and path != other:
            self._end_writes_to(path)
            self._end_writes_to(other)
            path.rename(other)
            self._touch(other)

    def _end_writes_to(self, path: Path) -> None:
        self.under_way = [each for each in self.under_way if each[1] != path]

    def _pass(self, _path: Path) -> None:
        """Time passes; no write is under way for longer than writes are."""
        seconds = self.dice.choice([0.0, 0.001, 3.0, 12.0])
        self.wall += round(seconds * _NS)
        self.monotonic += seconds
        self.dice.shuffle(self.under_way)
        while self.under_way and self.dice.random() < 0.3:
            self._land()
        self.under_way.sort(key=lambda each: each[0])
        while self.under_way and self.under_way[0][0] <= self.monotonic:
            self._land()

    def _set_clock(self, _path: Path) -> None:
        if self.dice.random() < 0.3:
            self.wall += self.dice.choice([-3600, -20, -1, 1, 20, 3600]) * _NS


def read(
    mirror: Mirror, files: list[BaseFile], part: bytearray, meanwhile: Callable[[], None], *, counts: bool = True
) -> None:
    """A pass. Storing comes after reading if it `counts`."""

    def add(data: bytes) -> tuple[int, int]:
        part.extend(data)
        return 1, len(part) - len(data)

    for file in files:
        copy = mirror.begin(file)
        try:
            changes = list(mirror.changes(copy, meanwhile))
        except (FileNotFoundError, TornFileError):
            continue
        if counts:
            for change in changes:
                mirror.store(change, add)
            mirror.commit(copy)


@settings(max_examples=dose(100, 3000), deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_what_is_put_together_is_what_was_there(seed: int) -> None:
    """Whatever happened between the passes and during them, and whatever the clock says."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder), dice)
        mirror, part = Mirror(disk.open, SETTLING, disk.clocks), bytearray()

        def some(most: int) -> None:
            for _ in range(dice.randrange(most + 1)):
                disk.change()

        some(12)
        for _ in range(dice.randrange(1, 5)):
            files = mirror.due(disk.files())
            some(2)
            read(mirror, files, part, lambda: some(1))
            some(4)
            if dice.random() < 0.3:  # a pause that is over too soon
                read(mirror, mirror.last(disk.files()), part, lambda: None, counts=False)
                some(2)
        disk.stop()
        files = disk.files()
        read(mirror, mirror.last(files), part, lambda: None)

        assert put_together(mirror.put_together(files), lambda _: bytes(part)) == content_of(disk.root)


@dataclass
class Clock:
    """A clock that the test moves."""

    wall: float = 1_800_000_000.0
    monotonic: float = 500.0

    def __call__(self) -> Now:
        """See `read_clocks`."""
        return Now(round(self.wall * _NS), self.monotonic)

    def go(self, seconds: float) -> None:
        """Time passes."""
        self.wall += seconds
        self.monotonic += seconds


def large(clock: Clock, age: float) -> BaseFile:
    """A file of two chunks that was changed that long ago, by the wall clock as it is now."""
    return BaseFile("file", 2 * CHUNK, 2 * CHUNK, 0o600, round((clock.wall - age) * _NS), 7)


@pytest.fixture
def clock() -> Clock:
    """See there."""
    return Clock()


@pytest.fixture
def mirror(clock: Clock, tmp_path: Path) -> Mirror:
    """A mirror of files that all have the same content."""
    (tmp_path / "file").write_bytes(b"x" * 2 * CHUNK)
    return Mirror(lambda _: os.open(tmp_path / "file", os.O_RDONLY), SETTLING, clock)


def read_once(mirror: Mirror, file: BaseFile) -> None:
    """Have it in the mirror."""
    read(mirror, [file], bytearray(), lambda: None)


def test_a_file_that_has_settled_is_read_once(mirror: Mirror, clock: Clock) -> None:
    """One whose time is younger is read again when it has, and not before."""
    old = large(clock, SETTLING)
    assert mirror.due([old]) == [old]
    read_once(mirror, old)
    assert mirror.due([old]) == mirror.last([old]) == []

    young = large(clock, SETTLING - 1)
    assert mirror.due([young]) == mirror.last([young]) == [young]
    read_once(mirror, young)
    assert mirror.due([young]) == []
    assert mirror.last([young]) == [young]
    clock.go(1)
    assert mirror.due([young]) == mirror.last([young]) == [young]
    read_once(mirror, young)
    assert mirror.due([young]) == mirror.last([young]) == []


def test_a_small_file_is_read_last_in_any_case(mirror: Mirror, clock: Clock) -> None:
    """Its time is not relied on."""
    small = BaseFile("file", CHUNK, CHUNK, 0o600, 0, 7)
    assert mirror.due([small]) == [small]
    read_once(mirror, small)

    assert mirror.due([small]) == []
    assert mirror.last([small]) == [small]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_was_set_is_not_relied_on(mirror: Mirror, clock: Clock, step: float) -> None:
    """For as long as a write may be under way since before that."""
    clock.go(1)
    mirror.due([])
    clock.wall += step
    old = large(clock, 100)
    mirror.due([old])
    read_once(mirror, old)
    assert mirror.last([old]) == [old]

    clock.go(SETTLING)
    assert mirror.due([old]) == [old]
    read_once(mirror, old)
    assert mirror.last([old]) == []


def test_a_file_from_the_future_has_settled_when_it_was_seen_for_long(mirror: Mirror, clock: Clock) -> None:
    """The clock was set back, perhaps before this process was there."""
    future = large(clock, -86400)
    mirror.due([future])
    read_once(mirror, future)
    clock.go(SETTLING - 1)
    assert mirror.due([future]) == []
    clock.go(1)
    assert mirror.due([future]) == [future]
    read_once(mirror, future)

    assert mirror.due([future]) == mirror.last([future]) == []


def test_how_long_files_take_is_known_by_how_long_they_took(mirror: Mirror, clock: Clock) -> None:
    """By the others for one that was never read, and not at all before."""
    file = large(clock, 100)
    assert mirror.seconds_for([file]) == 0
    copy = mirror.begin(file)
    copy.seconds = 4.0
    mirror.commit(copy)
    grown = BaseFile("file", 4 * CHUNK, 4 * CHUNK, 0o600, 0, 7)
    other = BaseFile("other", CHUNK, CHUNK, 0o600, 0, 8)

    assert math.isclose(mirror.seconds_for([file]), 4)
    assert math.isclose(mirror.seconds_for([grown, other]), 8 + 2)


def test_a_disk_that_does_not_read_is_no_hole(mirror: Mirror, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that cannot be had must not become zeros."""

    def fail(*_: int) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "lseek", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_once(mirror, large(clock, 100))


def test_a_chunk_that_comes_in_pieces_is_whole(mirror: Mirror, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read may return less than was asked for."""
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, length, offset: pread(descriptor, min(length, 1000), offset))
    copy = mirror.begin(large(clock, 100))

    assert [change.data for change in mirror.changes(copy, lambda: None)] == [b"x" * CHUNK] * 2


def test_files_of_more_than_4_gib_keep_their_holes(tmp_path: Path) -> None:
    """What is behind them has its place, and reading them takes no time."""
    path, size = tmp_path / "huge", 5 * 1024**3 // CHUNK * CHUNK
    with path.open("wb") as file:
        file.seek(size)
        file.write(b"end")
    huge = listing(tmp_path)[0]
    huge_mirror = Mirror(lambda file: os.open(tmp_path / file.path, os.O_RDONLY), 0)
    with mock.patch.multiple(mirroring, CHUNK=256 * 1024, _ZEROES=bytes(256 * 1024)):
        read_once(huge_mirror, huge)
        (file_of_set,) = huge_mirror.put_together([huge])

    assert file_of_set.size == size + 3
    assert [(extent.offset, extent.length) for extent in file_of_set.extents] == [(size, 3)]
