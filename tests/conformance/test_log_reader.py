"""What every log reader does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest

from redoubt.engines.seekdb.palf import INFO_SIZE, verify_groups
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.log import LogBatch, LogDamagedError, LogPosition
from redoubt.model.seams import LogReader
from tests.archive.fakes import MemoryLog, random_log
from tests.seekdb.running import Seekdb
from tests.seekdb.written import BLOCK, WrittenLog


class Log(Protocol):
    """A log that has several groups, and the reader of it."""

    reader: LogReader

    def grow(self) -> None:
        """The engine writes several groups more."""
        ...


class OfMemory:
    """The archive's stand-in."""

    def __init__(self, _path: Path, _seekdb: Seekdb) -> None:
        self._log = MemoryLog()
        self.reader: LogReader = self._log
        self.grow()

    def grow(self) -> None:
        """See `Log`."""
        self._log.append(*[random_log(size, size) for size in (10, 200, 1, 3000)])


class OfOurs:
    """The engine's format, written by the tests, over the boundary of two blocks."""

    def __init__(self, path: Path, _seekdb: Seekdb) -> None:
        self._log = WrittenLog(path / "base")
        self.reader: LogReader = SeekdbLogReader(self._log.base, self._log.end_of_log)
        self.grow()
        self._log.fill_block()
        self.grow()

    def grow(self) -> None:
        """See `Log`."""
        for contents in ([b"first"], [b"second", b"third"], [bytes(100_000)]):
            self._log.append(*contents)


class OfAnEngine:
    """Log that a real engine wrote, of which the second half comes later."""

    def __init__(self, path: Path, seekdb: Seekdb) -> None:
        written = WrittenLog(path / "base")
        end = seekdb.engine.end_of_log()
        real = (seekdb.base.log / "0").read_bytes()
        log = real[INFO_SIZE : INFO_SIZE + end]
        half = verify_groups(log[: end // 2], None).size
        self._rest = (half, log[half:])
        self._log = written
        with written.block(0).open("wb") as file:
            file.write(real[: INFO_SIZE + half])
            file.truncate(BLOCK)
        written.ends.append(LogPosition(half))
        self.reader: LogReader = SeekdbLogReader(written.base, written.end_of_log)

    def grow(self) -> None:
        """See `Log`."""
        self._log.put(*self._rest)
        self._log.ends.append(LogPosition(self._rest[0] + len(self._rest[1])))


KINDS: dict[str, Callable[[Path, Seekdb], Log]] = {"memory": OfMemory, "ours": OfOurs, "engine": OfAnEngine}
START = LogPosition(0)


@pytest.fixture(params=KINDS)
def log(request: pytest.FixtureRequest, tmp_path: Path, seekdb: Seekdb) -> Log:
    """A log of each kind."""
    return KINDS[request.param](tmp_path, seekdb)


def read_on(log: Log, position: LogPosition, limit: int) -> list[LogBatch]:
    """All batches from a position to the end."""
    batches = []
    while batch := log.reader.read(position, limit):
        batches.append(batch)
        position = batch.end
    log.reader.close()
    return batches


def test_batches_are_a_chain_of_places(log: Log) -> None:
    """Each begins where the one before ended, is as long as it says, and its SCNs follow."""
    batches = read_on(log, START, 1)

    assert len(batches) > 3
    assert batches[0].start == START
    for batch in batches:
        assert batch.end.lsn - batch.start.lsn == len(batch.data) > 0
        assert batch.start.scn < batch.min_scn <= batch.end.scn
        assert batch.end.chain is not None
    for before, after in pairwise(batches):
        assert before.end == after.start


@pytest.mark.parametrize("limit", [1, 100, 5000, 10**7])
def test_the_limit_does_not_change_the_log(log: Log, limit: int) -> None:
    """Only how it is cut; where it is cut is a place to go on from."""
    small, other = read_on(log, START, 1), read_on(log, START, limit)

    assert b"".join(batch.data for batch in small) == b"".join(batch.data for batch in other)
    assert small[-1].end == other[-1].end
    assert {batch.end for batch in other} <= {batch.end for batch in small}


def test_there_is_no_log_at_the_end_until_it_grows(log: Log) -> None:
    """None, as often as it is asked; then what has come."""
    end = read_on(log, START, 1000)[-1].end
    before = [log.reader.read(end, 1000) for _ in range(3)]
    log.grow()
    after = log.reader.read(end, 1000)
    log.reader.close()

    assert before == [None] * 3
    assert after
    assert end == after.start


def test_a_reader_holds_no_position(log: Log) -> None:
    """What is asked for is given, in any order."""
    batches = read_on(log, START, 1)
    again = [log.reader.read(batch.start, 1) for batch in reversed(batches)]
    log.reader.close()

    assert list(reversed(batches)) == again


def test_log_that_does_not_continue_the_position_is_refused(log: Log) -> None:
    """Sound as it may be."""
    first, second = read_on(log, START, 1)[:2]
    assert first.end.chain is not None
    with pytest.raises(LogDamagedError):
        log.reader.read(replace(second.start, chain=first.end.chain ^ 1), 1000)
    log.reader.close()


def test_closing_twice_is_no_error(log: Log) -> None:
    """With nothing open, and after a read."""
    log.reader.close()
    log.reader.read(START, 1)
    log.reader.close()
    log.reader.close()
