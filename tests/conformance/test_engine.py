"""What every engine does."""

from __future__ import annotations

import pymysql
import pytest

from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import block_ids
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.log import LogBatch, LogPosition
from redoubt.model.seams import Engine, LogReader
from tests.seekdb.running import Seekdb, until


def read_to(reader: LogReader, position: LogPosition, lsn: int) -> list[LogBatch]:
    """The log from a position to an LSN or beyond."""
    batches: list[LogBatch] = []

    def is_there() -> bool:
        while batch := reader.read(batches[-1].end if batches else position, 10**6):
            batches.append(batch)
        return bool(batches) and batches[-1].end.lsn >= lsn

    until(is_there)
    reader.close()
    return batches


def test_a_source_is_the_same_for_good(seekdb: Seekdb) -> None:
    """Over restarts of ours."""
    engine: Engine = seekdb.engine

    assert engine.source_id() == SeekdbEngine(seekdb.base).source_id() != ""


def test_the_end_of_the_log_covers_every_commit_before_it(seekdb: Seekdb) -> None:
    """It grows with each, and all of it can be read."""
    engine: Engine = seekdb.engine
    ends = [engine.end_of_log()]
    for _ in range(5):
        seekdb.write_rows(1, 100)
        ends.append(engine.end_of_log())
    batches = read_to(engine.reader(), engine.start_point(), ends[-1])

    assert ends == sorted(set(ends))
    assert batches[-1].end.lsn >= ends[-1]


def test_a_commit_is_in_the_log_when_it_is_acknowledged(seekdb: Seekdb) -> None:
    """Its content is found in what is read right after, without asking for the end."""
    reader, position = seekdb.engine.reader(), seekdb.engine.start_point()
    while batch := reader.read(position, 10**6):
        position = batch.end
    for number in range(20):
        content = f"a row that is looked for, number {number}"
        seekdb.run(f"INSERT INTO test.rows_of_test (content) VALUES ('{content}')")
        found = b""
        while batch := reader.read(position, 10**6):
            found, position = found + batch.data, batch.end

        assert content.encode() in found
    reader.close()


def test_archiving_begins_at_or_before_the_end(seekdb: Seekdb) -> None:
    """At a group, without a chain."""
    start = seekdb.engine.start_point()

    assert start.lsn <= seekdb.engine.end_of_log()
    assert start.chain is None
    assert read_to(seekdb.engine.reader(), start, start.lsn + 1)


def test_a_minor_freeze_is_accepted(seekdb: Seekdb) -> None:
    """And does not break the log."""
    before = seekdb.engine.end_of_log()
    seekdb.engine.minor_freeze()
    seekdb.write_rows(1, 100)
    after = seekdb.engine.end_of_log()
    read_to(seekdb.engine.reader(), seekdb.engine.start_point(), after)

    assert before < after


def test_log_is_held_until_it_is_released(seekdb: Seekdb) -> None:
    """Each of the calls may be made again."""
    engine = seekdb.engine
    for _ in range(2):
        engine.hold_log()
    held = block_ids(seekdb.base.held)
    for _ in range(2):
        engine.release_log(0)
    kept = block_ids(seekdb.base.held)
    for _ in range(2):
        engine.release_all_log()

    assert held == kept == block_ids(seekdb.base.log)
    assert not seekdb.base.held.exists()


def _write_error(seekdb: Seekdb) -> int:
    """The code of the error that an ordinary user's write gives, 0 if it gives none."""
    connection = pymysql.connect(unix_socket=str(seekdb.base.socket), user="writer", autocommit=True)
    with connection, connection.cursor() as cursor:
        try:
            cursor.execute("INSERT INTO test.rows_of_test (content) VALUES ('by an ordinary user')")
        except pymysql.err.MySQLError as error:
            return int(error.args[0])
        return 0


@pytest.mark.parametrize("before", [0, 1])
def test_writes_are_closed_and_opened_again_as_they_were(seekdb: Seekdb, before: int) -> None:
    """Both as often as one likes; another process, after a crash, can open what this one closed."""
    engine: Engine = seekdb.engine
    seekdb.run("CREATE USER IF NOT EXISTS writer", "GRANT ALL ON test.* TO writer", f"SET GLOBAL read_only = {before}")
    engine.open_writes()
    first = (engine.has_closed_writes(), _write_error(seekdb))
    engine.close_writes()
    engine.close_writes()
    closed = (SeekdbEngine(seekdb.base).has_closed_writes(), _write_error(seekdb))
    SeekdbEngine(seekdb.base).open_writes()
    engine.open_writes()
    opened = (engine.has_closed_writes(), _write_error(seekdb))
    seekdb.run("SET GLOBAL read_only = 0")

    assert (first, closed, opened) == ((False, 1290 * before), (True, 1290), (False, 1290 * before))


def test_held_log_begins_with_a_block(seekdb: Seekdb) -> None:
    """And takes room on a disk that has some."""
    engine: Engine = seekdb.engine
    nothing = engine.held_from()
    engine.hold_log()
    held = engine.held_from()
    engine.release_all_log()

    assert nothing is None
    assert held == block_ids(seekdb.base.log)[0] * BLOCK_LOG_SIZE
    assert engine.disk_free() > 0
