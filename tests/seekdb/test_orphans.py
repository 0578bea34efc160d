"""Transactions that have outlived their engine are ended: on log made here, and on real engines that were killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pymysql
import pytest

from redoubt.engines.seekdb import closed
from redoubt.engines.seekdb import orphans as module
from redoubt.engines.seekdb.account import connect
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.log_layer import SeekdbLogLayer
from redoubt.engines.seekdb.orphans import (
    NoRoomError,
    OrphansLeftError,
    append_aborts,
    end_of_log,
    end_orphans,
    orphans,
)
from redoubt.engines.seekdb.palf import ENTRY_HEADER_SIZE, GROUP_HEADER_SIZE, INFO_SIZE, Tail, verify_groups
from redoubt.engines.seekdb.tx_log import Matter, matter_of
from redoubt.engines.seekdb.undo_log import Orphan, abort_data, entry_numbers
from redoubt.model.keeping import EngineSizes
from redoubt.model.log import LogDamagedError, LogPosition

from .running import answers, running_seekdb, until
from .test_palf import places_of_groups
from .test_tx_log import SOURCES
from .written import LOG, WrittenLog

ORPHAN, OTHER = Orphan(300, 15), Orphan(5, 12)
Rows = tuple[tuple[Any, ...], ...]


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """A log of some groups, one of them of a transaction, whose engine has ended."""
    written = WrittenLog(tmp_path)
    written.base.clients.parent.mkdir()
    written.append(b"first")
    written.append(abort_data(ORPHAN, 6), b"more")
    return written


def log_of(written: WrittenLog, block: int = 0) -> bytes:
    """All log in a block."""
    return written.block(block).read_bytes()[INFO_SIZE:]


class FakeEngine:
    """An engine that has transactions open until it finds their abort in its log."""

    def __init__(self, log: WrittenLog, open_: list[Orphan], *, heeds: bool = True) -> None:
        self.log = log
        self.open = open_
        self.heeds = heeds
        self.starts = 0
        self.living: list[tuple[int, ...]] = [()] * 10
        self.on_freeze: Callable[[], object] = lambda: None

    def start(self) -> None:
        """It replays."""
        self.starts += 1
        end = end_of_log(self.log.base)
        if end and end.at.lsn > self.log.end.lsn:
            self.log.ends.append(end.at)
            self.open = [] if self.heeds else self.open

    def stop(self) -> None:
        """Nothing is lost."""

    def run(self, sql: str) -> Rows:
        """What it is asked."""
        if "FREEZE" in sql:
            self.on_freeze()
            return ()
        if "END_LSN" in sql:
            return ((self.log.end.lsn, self.log.end.scn),)
        if "trans_id" not in sql:
            return tuple((scn,) for scn in (15, *self.living.pop(), 2**64 - 1))
        return tuple((orphan.tx_id, orphan.start_scn) for orphan in self.open)


def test_aborts_are_appended_behind_the_last_group(log: WrittenLog) -> None:
    """With the numbers that the transactions' entries would bear next; the log before stays as it was."""
    before, end = log_of(log), log.end

    after = append_aborts(log.base, [ORPHAN, OTHER], end.lsn)

    written = log_of(log)
    found = verify_groups(written, 0)
    assert (found.size, found.max_scn, found.chain, found.tail) == (after.lsn, after.scn, after.chain, Tail.BLANK)
    assert written[: end.lsn] == before[: end.lsn]
    assert after.scn == end.scn + 2
    assert entry_numbers(written[end.lsn : after.lsn], frozenset({300, 5})) == {300: 7, 5: 0}
    ended = end_of_log(log.base)
    assert ended is not None
    assert (ended.at, ended.log_id) == (after, 4)


def test_what_a_crash_left_behind_the_log_goes(log: WrittenLog) -> None:
    """Half a group is not log, and must not stand behind what is appended."""
    log.put(log.end.lsn, log.next_group(b"x" * 5000)[:4000])

    after = append_aborts(log.base, [ORPHAN], log.end.lsn)

    assert not any(log_of(log)[after.lsn :])


def test_aborts_that_were_cut_off_are_no_log(log: WrittenLog) -> None:
    """At every byte: whole ones count, and the next attempt goes on behind them."""
    start = log.end
    size = append_aborts(log.base, [ORPHAN, OTHER], start.lsn).lsn - start.lsn
    whole = log_of(log)[start.lsn : start.lsn + size]
    places = [start.lsn + place for place in places_of_groups(whole)]
    for kept in (0, 1, 47, places[1] - start.lsn - 1, places[1] - start.lsn, size - 1):
        log.put(start.lsn, whole[:kept].ljust(size, b"\0"))
        found = end_of_log(log.base)
        assert found is not None
        assert found.at.lsn == max(place for place in places if place <= start.lsn + kept)


def test_a_log_that_ends_too_early_is_left_alone(log: WrittenLog, tmp_path: Path) -> None:
    """Damage in it must not be taken for its end."""
    log.put(10, b"\xff")
    with pytest.raises(LogDamagedError, match=r"cannot read the log in .* up to its end"):
        append_aborts(log.base, [ORPHAN], log.end.lsn)
    (tmp_path / "other" / "run").mkdir(parents=True)
    with pytest.raises(LogDamagedError, match="cannot read the log"):
        append_aborts(BaseDir(tmp_path / "other"), [ORPHAN], 0)


def test_what_is_not_there_when_read_back_is_damage(log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that loses writes."""
    monkeypatch.setattr(os, "pwrite", lambda *_: None)

    with pytest.raises(LogDamagedError, match="cannot be read back: no log has been written"):
        append_aborts(log.base, [ORPHAN], log.end.lsn)


@pytest.mark.parametrize("damage", [b"", b"short", b"?" * 4096])
def test_a_damaged_block_is_named(log: WrittenLog, damage: bytes) -> None:
    """Whatever it holds, as damage of the log and not as a bug."""
    log.block(0).write_bytes(damage)

    for look in (lambda: end_of_log(log.base), lambda: append_aborts(log.base, [ORPHAN], 0)):
        with pytest.raises(LogDamagedError, match=rf"the redo block {log.block(0)} is damaged"):
            look()


def test_nothing_is_appended_while_an_engine_runs(log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or is about to: it holds its lock, or its process is there."""
    with log.base.clients.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(BlockingIOError, match="an engine runs in"):
            append_aborts(log.base, [ORPHAN], log.end.lsn)
    monkeypatch.setattr(closed, "pid_of", lambda _: 1)
    with pytest.raises(BlockingIOError, match="an engine runs in"):
        append_aborts(log.base, [ORPHAN], log.end.lsn)


def test_a_block_that_is_full_is_not_written_to(log: WrittenLog) -> None:
    """The next one may not be there, or have nothing yet."""
    log.fill_block()
    with pytest.raises(NoRoomError):
        append_aborts(log.base, [ORPHAN], log.end.lsn)
    log.put(log.end.lsn, b"")
    log.block(2).write_bytes(bytes(INFO_SIZE))
    with pytest.raises(NoRoomError):
        append_aborts(log.base, [ORPHAN], log.end.lsn)
    log.append(b"next")
    assert append_aborts(log.base, [ORPHAN], log.end.lsn).lsn > LOG


def test_an_engine_without_orphans_is_not_restarted(log: WrittenLog, tmp_path: Path) -> None:
    """What has begun since its start is somebody's."""
    engine = FakeEngine(log, [Orphan(9, log.end.scn + 1), Orphan(8, 2**64 - 1)])
    assert end_orphans(log.base, engine) == []
    assert end_orphans(BaseDir(tmp_path / "none"), FakeEngine(log, [ORPHAN])) == []
    assert engine.starts == 1


def test_orphans_are_ended_once(log: WrittenLog) -> None:
    """In the order in which they began; the second time there are none."""
    engine = FakeEngine(log, [ORPHAN, OTHER])
    engine.living = [(), (log.end.scn + 1,)]

    assert end_orphans(log.base, engine) == [OTHER, ORPHAN]
    assert end_orphans(log.base, engine) == []
    assert engine.starts == 3
    assert engine.living == []


def test_a_transaction_that_ends_meanwhile_is_none() -> None:
    """Only what is there twice is an orphan."""
    answered = iter([((300, 15), (5, 12)), ((5, 12),)])

    assert orphans(lambda _: next(answered), 20) == [OTHER]


def test_the_engine_makes_room_where_its_block_is_full(log: WrittenLog) -> None:
    """It writes by itself; aborts follow in the next block."""
    log.fill_block()
    engine = FakeEngine(log, [ORPHAN])
    engine.on_freeze = lambda: log.append(b"written by itself")

    assert end_orphans(log.base, engine) == [ORPHAN]
    assert log.end.lsn > LOG


def test_an_engine_that_makes_no_room_or_takes_no_abort_is_given_up(
    log: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so."""
    with pytest.raises(OrphansLeftError, match=r"transactions are still open .* abort records: 300"):
        end_orphans(log.base, FakeEngine(log, [ORPHAN], heeds=False))
    with monkeypatch.context() as once:
        once.setattr(module, "_ROUNDS", 1)
        with pytest.raises(OrphansLeftError, match="transactions are still open"):
            end_orphans(log.base, FakeEngine(log, [ORPHAN]))
    log.fill_block()
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    with pytest.raises(OrphansLeftError, match="has no room for abort records"):
        end_orphans(log.base, FakeEngine(log, [ORPHAN]))


class RealEngine:
    """A directory's engine, started and stopped here."""

    def __init__(self, base: BaseDir) -> None:
        self.base = base
        self.instance = Instance(base, EngineSizes())

    def start(self) -> None:
        """It answers when this returns."""
        self.instance.start()
        until(lambda: answers(self.instance, SeekdbEngine(self.base)))

    def stop(self) -> None:
        """It has ended when this returns."""
        self.instance.stop()

    def run(self, sql: str) -> Rows:
        """The rows of a statement."""
        with connect(self.base, timeout=30) as connection, connection.cursor() as cursor:
            cursor.execute("SET ob_query_timeout = 3000000")
            cursor.execute("SET ob_trx_lock_timeout = 100000")
            cursor.execute(sql)
            return tuple(cursor.fetchall())

    def refuses(self, sql: str) -> bool:
        """Whether a lock is in the way of a statement."""
        try:
            self.run(sql)
        except pymysql.err.MySQLError as error:
            return error.args[0] in {1205, 4012}
        return False


def first_record(group: bytes) -> int:
    """The kind of the first record in a group's first entry, if that is a transaction's."""
    data = group[GROUP_HEADER_SIZE + ENTRY_HEADER_SIZE :]
    at = 16 + 6 + (data[17] & 0x7F)
    return int.from_bytes(data[at : at + 8])


def cut_after_first_ddl_entry(base: BaseDir, lsn: int) -> None:
    """End the log behind the first undecided entry of what a DDL wrote after an LSN, as a moment of a restore may."""
    log = (base.log / "0").read_bytes()[INFO_SIZE:]
    log = log[: verify_groups(log, None).size]
    groups = [(at, end, log[at:end]) for at, end in pairwise(places_of_groups(log)) if at >= lsn]
    _, end, last = next(
        each for each in groups if matter_of(each[2]) is Matter.REDO and first_record(each[2]) == SOURCES
    )
    SeekdbLogLayer(base, 0).finish(LogPosition(end, int.from_bytes(last[16:24])))


@pytest.fixture(scope="module")
def killed() -> Iterator[RealEngine]:
    """A directory whose engine was killed with a transaction of some MB and a CREATE TABLE open.

    Own engine: it is killed.
    """
    with running_seekdb() as seekdb:
        seekdb.run(
            "CREATE TABLE test.kept (id INT PRIMARY KEY, content LONGTEXT)",
            "INSERT INTO test.kept VALUES (1, 'old'), (2, 'old')",
        )
        with closing(connect(seekdb.base)) as connection, connection.cursor() as cursor:
            cursor.execute("SET autocommit = 0")
            cursor.execute("UPDATE test.kept SET content = 'new'")
            for number in range(3, 9):
                cursor.execute("INSERT INTO test.kept VALUES (%s, %s)", (number, os.urandom(250_000).hex()))
            seekdb.run("INSERT INTO test.rows_of_test (content) VALUES ('committed behind it')")
            end = seekdb.engine.end_of_log()
            seekdb.run("CREATE TABLE test.half (id INT PRIMARY KEY)")
            seekdb.instance.kill()
        cut_after_first_ddl_entry(seekdb.base, end)
        engine = RealEngine(seekdb.base)
        try:
            yield engine
        finally:
            engine.stop()


def test_a_killed_engine_is_free_of_what_was_open(killed: RealEngine) -> None:
    """What was committed is there, and nothing else; nothing is locked, then and after flush and restart."""
    killed.start()
    assert killed.refuses("UPDATE test.kept SET content = 'mine' WHERE id = 1")
    killed.stop()

    ended = end_orphans(killed.base, killed)
    assert len(ended) >= 2  # the engine's own work after its start may be among them

    for is_last in (False, True):
        assert killed.run("SELECT id, content FROM test.kept") == ((1, "old"), (2, "old"))
        assert killed.run("SELECT content FROM test.rows_of_test") == (("committed behind it",),)
        killed.run("UPDATE test.kept SET content = 'mine'")
        killed.run("UPDATE test.kept SET content = 'old'")
        killed.run("CREATE TABLE test.half (id INT PRIMARY KEY)")
        killed.run("DROP TABLE test.half")
        if is_last:
            break
        killed.run("ALTER SYSTEM MINOR FREEZE")
        killed.instance.kill()
        assert not set(end_orphans(killed.base, killed)) & set(ended)
