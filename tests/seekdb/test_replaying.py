"""The first start of a restored directory, with as much memory as its log needs."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pymysql
import pytest

from redoubt.archive.record import dump_record
from redoubt.cli.replay import replay
from redoubt.engines.seekdb import first_start, keeping, replaying
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.keeping import EmbeddedKeeper
from redoubt.engines.seekdb.orphans import OrphansLeftError
from redoubt.engines.seekdb.proven import UnprovenEngineError
from redoubt.engines.seekdb.replaying import first_sizes, flush_replayed, size_of, sizes_for
from redoubt.model.keeping import EngineSizes
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.model.scratch_engine import Login
from redoubt.restore.restoring import Origin, Restored
from tests.seekdb.running import running_seekdb

GIB = 1024**3


@pytest.fixture(scope="module")
def base() -> Iterator[BaseDir]:
    """A directory with some log that no engine has open, as a restore leaves one.

    Own engine: it is killed.
    """
    with running_seekdb() as seekdb:
        seekdb.write_rows(50, 1000)
        seekdb.instance.kill()
        made_of = Restored(Origin("redoubt", 1, 1001, "main", "cafe", 1), LogPosition(0, 0))
        seekdb.base.restored_from.write_bytes(dump_record(made_of))
        yield seekdb.base


@pytest.fixture(autouse=True)
def _unreplayed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds the directory without the mark."""
    yield
    if "base" in request.fixturenames:
        request.getfixturevalue("base").replayed.unlink(missing_ok=True)


def test_the_sizes_follow_from_the_log() -> None:
    """All that it replays must fit into half of its memory."""
    assert sizes_for(0) == EngineSizes("1024M", "2048M")
    assert sizes_for(2 * GIB) == EngineSizes("32768M", "4096M")


@pytest.mark.parametrize(("text", "size"), [("1G", GIB), ("512M", GIB // 2), ("7", 7 * 1024**2), ("2tb", 2048 * GIB)])
def test_sizes_are_read_as_the_engine_spells_them(text: str, size: int) -> None:
    """A number alone is megabytes."""
    assert size_of(text) == size


def test_what_is_no_size_is_refused() -> None:
    """With the right spelling."""
    with pytest.raises(ValueError, match="write a size such as 512M or 4G"):
        size_of("much")


def test_only_a_restored_directory_with_much_log_needs_more_at_first(base: BaseDir, tmp_path: Path) -> None:
    """One block of log fits into the usual memory."""
    assert first_sizes(base, EngineSizes()) is None
    assert first_sizes(base, EngineSizes("100M")) == EngineSizes("1024M", "2048M")
    assert first_sizes(BaseDir(tmp_path), EngineSizes("100M")) is None


def test_an_engine_is_started_with_more_memory_once(base: BaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """It replays, flushes, and is started again as usual."""
    monkeypatch.setattr(replaying, "_MEMORY_FOR_LOG", 32)
    needed = first_sizes(base, EngineSizes())
    keeper = EmbeddedKeeper(base, EngineSizes(), may_be_new=False)
    try:
        asyncio.run(keeper.start())

        assert needed is not None
        assert size_of(needed.memory_budget) > GIB
        assert base.replayed.exists()
        assert first_sizes(base, EngineSizes()) is None
        assert keeper.engine.run("SELECT COUNT(*) FROM test.rows_of_test") == ((50,),)
        assert keeper.engine.run("SHOW PARAMETERS LIKE 'memory_budget'")[0][3] == "1G"
    finally:
        asyncio.run(keeper.kill())


@pytest.mark.soak
def test_a_directory_is_replayed_by_hand(base: BaseDir, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it was made by. From then on its engine writes its own log at leisure again."""
    assert replay(base.path, "root", "") == 0
    said = capsys.readouterr().err
    assert "replayed and flushed" in said
    assert "; open transactions rolled back: " in said
    assert base.replayed.exists()
    kept = "SELECT value FROM __all_sys_parameter WHERE name = 'enable_async_syslog'"
    with closing(sqlite3.connect(base.path / "store" / "sstable" / "meta.db")) as database:
        assert database.execute(kept).fetchall() == [("1",)]


def test_who_may_not_put_a_parameter_back_is_told_of_it(base: BaseDir) -> None:
    """Its engine ends all the same, and the connection with it."""
    engine = first_start._Engine(base, EngineSizes(), Login("clerk", ""))
    connection = engine._connection = mock.MagicMock()
    connection.cursor.side_effect = pymysql.err.OperationalError(1227, "Access denied")
    engine.stop()
    assert "the ALTER SYSTEM privilege and run ALTER SYSTEM SET enable_async_syslog = True" in engine.remark
    assert "Access denied" in engine.remark
    connection.close.assert_called_once_with()


def test_who_may_not_log_in_is_told_what_to_do(base: BaseDir, capsys: pytest.CaptureFixture[str]) -> None:
    """The account, or the memory that the first start needs."""
    assert replay(base.path, "root", "wrong") == 1
    assert "--user and --password, or open it first with memory_budget=1024M" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OrphansLeftError("the last block is full"), UnprovenEngineError("install 1.4.0")])
def test_a_restored_engine_can_be_used_though_nothing_was_rolled_back(
    base: BaseDir, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Also where it was ended for that, and not started again; it is not tried for ever."""
    tries = mock.Mock(side_effect=error)
    monkeypatch.setattr(keeping, "end_orphans", tries)
    base.settled.unlink(missing_ok=True)
    keeper = EmbeddedKeeper(base, EngineSizes(), may_be_new=False)
    try:
        asyncio.run(keeper.start())
        assert keeper.engine.run("SELECT COUNT(*) FROM test.rows_of_test") == ((50,),)
        asyncio.run(keeper.start())
        assert (keeper.trouble, tries.call_count) == ("", 1)
    finally:
        asyncio.run(keeper.stop())


@pytest.mark.parametrize("error", [OrphansLeftError("they stay"), LogDamagedError("it is damaged")])
def test_what_stays_open_is_told(
    base: BaseDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """The directory can be opened all the same."""
    monkeypatch.setattr(first_start, "end_orphans", mock.Mock(side_effect=error))
    started = first_start.start_once(base, Login("root", ""), mock.Mock(), flush=False)
    assert (started.is_open, started.rolled_back, started.trouble) == (True, None, str(error))
    assert replay(base.path, "root", "") == 1
    assert str(error) in capsys.readouterr().err


def test_what_cannot_be_replayed_is_refused(tmp_path: Path, base: BaseDir, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory of anything else, a restore that did not end, and one in which an engine runs."""
    assert replay(tmp_path, "root", "") == 1
    base.restoring.touch()
    assert replay(base.path, "root", "") == 1
    base.restoring.unlink()
    said = capsys.readouterr().err

    assert "is not a seekdb directory" in said
    assert "holds an unfinished restore" in said


def test_an_engine_that_ends_says_why(base: BaseDir, capsys: pytest.CaptureFixture[str]) -> None:
    """It wants no files of others among its log."""
    foreign = base.log / "foreign"
    foreign.touch()
    try:
        assert replay(base.path, "root", "") == 1
        said = capsys.readouterr().err
        assert "ended with status" in said
        assert re.search(r"files in the log directory .*\(error -\d+.*\)", said)
    finally:
        foreign.unlink()


def test_an_engine_that_does_not_flush_is_given_up(tmp_path: Path) -> None:
    """After a quarter of an hour, with the request repeated meanwhile."""
    asked: list[str] = []
    now = iter(range(0, 10_000, 10))

    def run(sql: str) -> tuple[tuple[int, ...], ...]:
        asked.append(sql)
        return ((2 if "END_SCN" in sql else 1,),)

    with pytest.raises(TimeoutError, match="did not flush the replayed data"):
        flush_replayed(BaseDir(tmp_path), run, lambda: float(next(now)))
    assert asked.count("ALTER SYSTEM MINOR FREEZE") > 1


def test_sizes_count_at_the_next_start(base: BaseDir) -> None:
    """An instance takes what it was told last."""
    instance = Instance(base, EngineSizes())
    instance.sizes = EngineSizes("2G")

    assert instance.sizes.memory_budget == "2G"
