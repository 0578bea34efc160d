"""The log reader: what it gives is the log, and it tells "not yet" from "damaged" and from "gone"."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.engines.seekdb import reader as reader_module
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.palf import INFO_SIZE
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.log import LogBatch, LogDamagedError, LogGoneError, LogPosition
from redoubt.model.seams import LogReader
from tests.archive.fakes import Clock

from .conftest import CopiedLog
from .running import Seekdb, until
from .written import BLOCK, INFO, LOG, WrittenLog, block_info

LIMIT = 4 * 1024 * 1024
START = LogPosition(0)
QUIET = 16.0
"""Longer than a reader waits before it asks the engine."""


@pytest.fixture
def clock() -> Clock:
    """The reader's clock."""
    return Clock()


@pytest.fixture
def reader(log: WrittenLog, clock: Clock) -> SeekdbLogReader:
    """A reader of the made log."""
    return SeekdbLogReader(log.base, log.end_of_log, clock)


def read_on(reader: LogReader, position: LogPosition, limit: int = LIMIT) -> list[LogBatch]:
    """All batches from a position to the end."""
    batches: list[LogBatch] = []
    while batch := reader.read(position, limit):
        batches.append(batch)
        position = batch.end
    return batches


def check_is_continuous(batches: list[LogBatch]) -> None:
    """Each batch begins where the one before ended."""
    for before, after in pairwise(batches):
        assert before.end == after.start
        assert after.min_scn > before.end.scn


def test_a_real_log_is_read_whole_and_across_blocks(copied: CopiedLog) -> None:
    """Byte for byte, to the engine's end and perhaps what it wrote since."""
    reader = SeekdbLogReader(copied.base, lambda: copied.end)
    batches = read_on(reader, START)
    reader.close()
    found = b"".join(batch.data for batch in batches)

    check_is_continuous(batches)
    assert len(found) >= copied.end
    assert copied.data(0) + copied.data(1) == found[: copied.end]


@given(limit=st.integers(1, 3_000_000), start=st.integers(0, 50))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_limit_gives_the_same_log(copied: CopiedLog, limit: int, start: int) -> None:
    """From any group on; a group that is larger than the limit comes whole."""
    reader = SeekdbLogReader(copied.base, lambda: copied.end)
    position = START
    for _ in range(start):
        batch = reader.read(position, 1)
        assert batch
        position = batch.end
    batches: list[LogBatch] = []
    for _ in range(5):
        batch = reader.read(position, limit)
        assert batch
        batches.append(batch)
        position = batch.end
    reader.close()
    found = b"".join(batch.data for batch in batches)

    check_is_continuous(batches)
    assert copied.data(0)[batches[0].start.lsn :].startswith(found)


def test_a_log_is_read_while_it_is_written(seekdb: Seekdb) -> None:
    """What is read at the live end is what stands there afterwards."""
    reader, position = seekdb.engine.reader(), LogPosition(0)
    position = read_on(reader, position)[-1].end
    start = position.lsn
    writer = threading.Thread(target=seekdb.write_rows, args=(150, 20_000))
    writer.start()
    batches: list[LogBatch] = []
    while writer.is_alive():
        with suppress(TimeoutError):  # what is not whole yet is not the end: it may be an acknowledged commit
            batches += read_on(reader, batches[-1].end if batches else position, 100_000)
    writer.join()
    end = seekdb.engine.end_of_log()

    def is_read() -> bool:
        batches.extend(read_on(reader, batches[-1].end))
        return batches[-1].end.lsn >= end

    until(is_read)
    reader.close()
    found = b"".join(batch.data for batch in batches)
    block = start // LOG
    on_disk = (seekdb.base.log / str(block)).read_bytes()[INFO + start % LOG :]

    check_is_continuous(batches)
    assert len(batches) > 3
    assert on_disk[: len(found)] == found


def test_an_empty_folder_holds_no_log_yet(log: WrittenLog, reader: SeekdbLogReader, clock: Clock) -> None:
    """Nor does one that is not there."""
    assert reader.read(START, LIMIT) is None
    log.base.log.rmdir()
    clock.now += QUIET
    assert reader.read(START, LIMIT) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"IB", bytes(BLOCK), block_info(0)[:-2] + bytes(4096)],
    ids=["empty", "a piece of its info", "zeros", "all but the end of its info"],
)
def test_a_block_that_is_being_made_holds_no_log_yet(log: WrittenLog, reader: SeekdbLogReader, content: bytes) -> None:
    """Empty, or with its info half written."""
    log.block(0).write_bytes(content)

    assert reader.read(START, LIMIT) is None


def test_groups_are_read_with_their_place_in_the_log(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Positions, SCNs and chain."""
    data = log.append(b"first") + log.append(b"second", b"third")

    assert LogBatch(data, START, log.end, 10) == reader.read(START, LIMIT)
    assert reader.read(log.end, LIMIT) is None


def test_a_group_larger_than_the_limit_is_read_whole(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """One that is larger than the smallest read as well."""
    data = log.append(bytes(300_000))
    log.append(b"next")
    batch = reader.read(START, 1)

    assert batch
    assert data == batch.data


@pytest.mark.parametrize("written", [1, 47, 48, 49, 100, 500])
def test_a_torn_tail_is_not_yet(log: WrittenLog, reader: SeekdbLogReader, clock: Clock, written: int) -> None:
    """However much of the group is there, and however often it is looked at."""
    data = log.next_group(bytes(range(256)) * 3)
    log.put(0, data[:written])
    before = [reader.read(START, LIMIT) for _ in range(3)]
    clock.now += QUIET
    quiet = reader.read(START, LIMIT)
    log.append(bytes(range(256)) * 3)
    after = reader.read(START, LIMIT)

    assert [*before, quiet] == [None, None, None, None]
    assert after
    assert data == after.data


def test_what_stands_before_a_torn_tail_is_read(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Whole groups do not wait for the one behind them."""
    data = log.append(b"first")
    log.put(log.end.lsn, log.next_group(b"second")[:-1])

    assert [data] == [batch.data for batch in read_on(reader, START)]


def test_a_torn_tail_of_an_engine_that_is_down_is_not_yet(
    log: WrittenLog, reader: SeekdbLogReader, clock: Clock
) -> None:
    """The engine mends it when it starts."""
    log.append(b"first")
    log.put(log.end.lsn, log.next_group(b"second")[:-1])
    log.is_down = True
    clock.now += QUIET

    assert len(read_on(reader, START)) == 1
    assert log.asked > 0


def test_a_verdict_waits_for_the_engines_answer(log: WrittenLog, clock: Clock) -> None:
    """And nothing else does: what is there is read meanwhile. Until then "no more log" would be a guess."""
    answers: list[int | None] = [None, None, None]
    log.append(b"first")
    log.put(log.end.lsn, log.next_group(b"second")[:-1])
    reader = SeekdbLogReader(log.base, lambda: answers.pop(0) if answers else 2**40, clock)
    clock.now += QUIET
    first = reader.read(START, LIMIT)
    assert first
    for _ in range(3):
        with pytest.raises(TimeoutError, match="does not say where its log ends"):
            reader.read(first.end, LIMIT)

    with pytest.raises(LogDamagedError, match="the log goes on to LSN"):
        reader.read(first.end, LIMIT)


def test_log_that_may_be_a_commits_is_not_the_end(log: WrittenLog, clock: Clock) -> None:
    """An engine's finished end lags behind its commits: until it has caught up, the verdict is open."""
    first = log.append(b"first")
    log.put(log.end.lsn, log.next_group(b"second")[:-1])
    at = len(first)
    ends = [(at, at + 1), (at, at), (at + 1, at + 1)]
    reader = SeekdbLogReader(log.base, log.end_of_log, clock, ends_now=lambda: ends.pop(0))
    batch = reader.read(START, LIMIT)
    assert batch

    with pytest.raises(TimeoutError, match="is still writing what is at LSN"):
        reader.read(batch.end, LIMIT)
    assert reader.read(batch.end, LIMIT) is None
    with pytest.raises(LogDamagedError, match="the log goes on to LSN"):
        reader.read(batch.end, LIMIT)


def test_a_group_that_becomes_whole_while_the_engine_is_asked_is_read(log: WrittenLog, clock: Clock) -> None:
    """The first look may have come in the middle of a write."""
    data = log.next_group(b"first")
    log.put(0, data[:-1])

    def finish() -> int:
        log.append(b"first")
        return log.end.lsn

    batch = SeekdbLogReader(log.base, finish, clock).read(START, LIMIT)

    assert batch
    assert data == batch.data


def test_damage_below_the_engines_end_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """The error names the place, the file's directory, and what is wrong."""
    first = log.append(b"first")
    log.append(b"second")
    log.put(len(first) + 60, b"\xff")
    batches = [reader.read(START, LIMIT)]
    with pytest.raises(LogDamagedError) as damaged:
        reader.read(log.ends[1], LIMIT)

    assert [first] == [batch.data for batch in batches if batch]
    assert (
        f"the log at LSN {len(first)} (redo block 0 of {log.base.path}) is damaged, and the log goes on to LSN "
        f"{log.end.lsn}: log entry header checksum does not match"
    ) == str(damaged.value)


def test_log_that_does_not_continue_what_was_read_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """A restored engine's log is sound, and another."""
    log.append(b"first")
    log.append(b"second")
    first = log.ends[1]
    with pytest.raises(LogDamagedError, match="is not the log that was read before"):
        reader.read(LogPosition(first.lsn, first.scn, 12345), LIMIT)
    with pytest.raises(LogDamagedError, match="does not follow"):
        reader.read(LogPosition(first.lsn, log.end.scn, first.chain), LIMIT)


def test_another_history_beyond_what_was_read_is_no_damage(
    log: WrittenLog, reader: SeekdbLogReader, clock: Clock
) -> None:
    """A directory that was set back, or copied, and written to since: its groups are sound, and end elsewhere."""
    log.append(b"first")
    for size in (1, 1000):
        position = LogPosition(log.end.lsn + 10, log.end.scn, 7)  # where a group of the other history ended
        log.append(b"x" * size)
        log.append(b"and more")
        clock.now += QUIET
        with pytest.raises(LogDamagedError, match="this directory was set back to an earlier state or is a copy"):
            reader.read(position, LIMIT)


def test_an_engine_that_was_set_back_is_refused(log: WrittenLog, reader: SeekdbLogReader, clock: Clock) -> None:
    """Its log ends before what was read of it, also at a second look; one that catches up between them is not."""
    log.append(b"first")
    beyond = LogPosition(log.end.lsn + 1000, 5, 7)
    for seconds in (0.0, 1.5):
        clock.now += seconds
        assert reader.read(beyond, LIMIT) is None
    assert log.asked == 1
    clock.now += 1.5
    with pytest.raises(LogDamagedError, match=f"ends at LSN {log.end.lsn}, but it was read up to LSN {beyond.lsn}"):
        reader.read(beyond, LIMIT)


def test_an_engine_that_catches_up_was_not_set_back(log: WrittenLog, reader: SeekdbLogReader, clock: Clock) -> None:
    """Where it ends is known a moment later."""
    log.append(b"first")
    at = LogPosition(log.end.lsn, log.end.scn, log.end.chain)
    end_of_log, log.ends[:] = log.ends[:], [START]
    clock.now += 1.5
    assert reader.read(at, LIMIT) is None
    log.ends[:] = end_of_log
    for _ in range(30):
        clock.now += 1.5
        assert reader.read(at, LIMIT) is None


def test_blank_log_below_the_engines_end_is_damage_when_it_stays(
    log: WrittenLog, reader: SeekdbLogReader, clock: Clock
) -> None:
    """The engine is asked after a while of quiet; it writes every few seconds even when it is idle."""
    data = log.append(b"first")
    log.put(0, bytes(len(data)))
    soon = reader.read(START, LIMIT)
    asked_soon = log.asked
    clock.now += QUIET
    with pytest.raises(LogDamagedError, match="no log has been written here yet"):
        reader.read(START, LIMIT)

    assert (soon, asked_soon) == (None, 0)


def test_a_quiet_engine_is_asked_seldom(log: WrittenLog, reader: SeekdbLogReader, clock: Clock) -> None:
    """Once in a while, however often there is nothing to read; log puts it off."""
    log.append(b"first")
    for _ in range(100):
        reader.read(log.end, LIMIT)
    at_once = log.asked
    for _ in range(100):
        clock.now += 1
        reader.read(log.end, LIMIT)
    quiet = log.asked
    for _ in range(100):
        clock.now += 1
        log.append(b"more")
        reader.read(log.ends[-2], LIMIT)

    assert (at_once, quiet, log.asked) == (0, 7, 7)


def test_log_is_read_across_blocks(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """A block ends with padding, and the next one goes on with the chain."""
    log.append(b"first")
    log.fill_block()
    last = log.append(b"last")
    batches = read_on(reader, START)
    reader.close()

    check_is_continuous(batches)
    assert log.end == batches[-1].end
    assert last == batches[-1].data


def test_damage_in_a_block_behind_which_the_log_goes_on_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """The engine need not be asked, and may be down."""
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    log.put(0, b"XX")
    log.is_down = True
    with pytest.raises(LogDamagedError, match=f"goes on to LSN {LOG}: group magic is 0x5858"):
        reader.read(START, LIMIT)

    assert log.asked == 0


def test_a_group_that_reaches_past_its_block_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Even where the file is longer than a block, as no engine makes one, and the group is whole and sound."""
    log.ends.append(LogPosition(LOG - 50, 7, 7))
    log.append(b"x" * 100)

    assert log.block(0).stat().st_size > BLOCK
    with pytest.raises(LogDamagedError, match="past the end of its block"):
        reader.read(log.ends[-2], LIMIT)


def test_a_zeroed_block_behind_which_the_log_goes_on_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """It is there, and not recycled: to look for it elsewhere would be in vain."""
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    log.block(0).write_bytes(bytes(BLOCK))
    with pytest.raises(LogDamagedError, match="the block header is blank"):
        reader.read(START, LIMIT)


def test_a_block_of_another_number_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Somebody copied it there."""
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    log.block(0).write_bytes(log.block(1).read_bytes())
    with pytest.raises(LogDamagedError, match="the block header has the wrong number, 1"):
        reader.read(START, LIMIT)


def test_a_foreign_file_in_the_place_of_a_block_is_damage(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Once the engine's log goes on past it."""
    log.append(b"first")
    log.fill_block()
    before = log.end
    log.block(1).write_bytes(b"#!/bin/sh\n" * 1000)
    waiting = reader.read(before, LIMIT)
    log.ends.append(LogPosition(before.lsn + 100, before.scn + 10, 0))
    with pytest.raises(LogDamagedError, match="block magic is 0x2321"):
        reader.read(before, LIMIT)

    assert waiting is None


def test_a_recycled_block_is_gone(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """A later one with log in it shows that."""
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    log.block(0).unlink()
    with pytest.raises(LogGoneError, match=r"recycled the log at LSN 0 \(redo block 0 of .*\) before it was archived"):
        reader.read(START, LIMIT)


def test_a_missing_block_below_the_engines_end_is_gone(log: WrittenLog, reader: SeekdbLogReader, clock: Clock) -> None:
    """Though no later one is there."""
    log.append(b"first")
    log.block(0).unlink()
    clock.now += QUIET
    with pytest.raises(LogGoneError):
        reader.read(START, LIMIT)


def test_a_block_that_was_made_in_advance_is_no_later_log(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """It is blank, or empty."""
    log.append(b"first")
    log.block(1).write_bytes(bytes(8192))
    log.block(2).touch()

    assert reader.read(log.end, LIMIT) is None
    assert log.asked == 0


def test_a_held_block_is_read_after_the_engine_unlinked_it(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """The link keeps its content."""
    data = log.append(b"first")
    log.fill_block()
    log.append(b"last")
    log.base.held.mkdir(parents=True)
    os.link(log.block(0), log.base.held / "0")
    log.block(0).unlink()
    batches = read_on(reader, START)
    reader.close()

    assert batches[0].data.startswith(data)
    assert log.end == batches[-1].end


def test_a_block_that_is_being_read_is_read_on_after_it_was_unlinked(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """The reader keeps it open."""
    log.append(b"first")
    log.append(bytes(100_000))
    log.fill_block()
    log.append(b"last")
    batch = reader.read(START, 1)
    log.block(0).unlink()
    assert batch
    batches = read_on(reader, batch.end)
    reader.close()

    assert log.end == batches[-1].end


def test_a_real_held_block_is_read_after_it_was_unlinked(copied: CopiedLog, log: WrittenLog) -> None:
    """With the engine's own reader."""
    engine = SeekdbEngine(log.base)
    for block in (0, 1):
        os.link(copied.base.log / str(block), log.block(block))
    engine.hold_log()
    log.block(0).unlink()
    reader = SeekdbLogReader(log.base, lambda: copied.end)
    batch = reader.read(START, LIMIT)
    reader.close()

    assert batch
    assert copied.data(0).startswith(batch.data)


def test_a_block_that_vanishes_while_it_is_looked_at_is_passed_over(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """The listing is older than the look."""
    log.append(b"first")
    with mock.patch.object(reader_module, "block_ids", return_value=[0, 1, 2]):
        assert reader.read(log.end, LIMIT) is None


def test_a_folder_that_cannot_be_read_is_no_verdict(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """A later call may do better."""
    log.append(b"first")
    with (
        mock.patch.object(os, "open", side_effect=OSError("too many open files")),
        pytest.raises(OSError, match="too many"),
    ):
        reader.read(START, LIMIT)

    assert reader.read(START, LIMIT)


def test_nothing_stays_open(log: WrittenLog, reader: SeekdbLogReader) -> None:
    """Over blocks, errors and closing."""

    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count

    before = opened()
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    read_on(reader, START)
    during = opened()
    log.block(2).write_bytes(b"foreign" * 1000)
    for _ in range(10):
        reader.read(LogPosition(2 * LOG), LIMIT)
    reader.close()
    reader.close()

    assert (before + 1, before) == (during, opened())
    assert INFO_SIZE == INFO
