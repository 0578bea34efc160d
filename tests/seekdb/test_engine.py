"""The engine behind its seam, where no real one is needed."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pymysql
import pytest

from redoubt.engines.seekdb import session as session_module
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.log import LogPosition

from .written import LOG


@pytest.fixture
def engine(tmp_path: Path) -> SeekdbEngine:
    """One whose process does not run."""
    base = BaseDir(tmp_path / "base")
    base.ours.mkdir(parents=True)
    return SeekdbEngine(base)


def answering(rows: tuple[tuple[object, ...], ...]) -> mock.MagicMock:
    """A connection that answers every question alike."""
    connect = mock.MagicMock()
    connect().cursor().__enter__().fetchall.return_value = rows
    return connect


def test_an_engine_that_is_down_does_not_answer(engine: SeekdbEngine) -> None:
    """Every question is an OSError, which may be asked again."""
    for ask in (engine.start_point, engine.end_of_log, engine.minor_freeze):
        with pytest.raises(ConnectionError, match=f"the engine in {engine.base.path} does not answer"):
            ask()


def test_an_engine_that_is_starting_is_not_ready(engine: SeekdbEngine) -> None:
    """Its views are empty at first."""
    with mock.patch.object(session_module, "connect", answering(())), pytest.raises(ConnectionError, match="not ready"):
        engine.end_of_log()


@pytest.mark.parametrize(
    ("checkpoint", "start"), [(0, 0), (LOG - 1, 0), (LOG, LOG), (LOG + 1, LOG), (5 * LOG + 7, 5 * LOG)]
)
def test_archiving_begins_with_the_block_of_the_freeze_point(engine: SeekdbEngine, checkpoint: int, start: int) -> None:
    """Where groups begin, and a chain is not needed."""
    with mock.patch.object(session_module, "connect", answering(((checkpoint,),))):
        assert LogPosition(start) == engine.start_point()


def test_a_broken_connection_is_dialled_again(engine: SeekdbEngine) -> None:
    """The engine was restarted in between; what it refuses on a new connection is an error."""
    with mock.patch.object(session_module, "connect", answering(((7,),))) as connect:
        calls = connect.call_count
        engine.end_of_log()
        engine.end_of_log()
        dialled = connect.call_count - calls
        fetch = connect().cursor().__enter__().fetchall
        fetch.side_effect = [pymysql.err.InterfaceError(0, ""), ((8,),)]
        again = engine.end_of_log()
        fetch.side_effect = pymysql.err.ProgrammingError(1064, "no")
        with pytest.raises(ConnectionError, match="no"):
            engine.end_of_log()
    engine.close()

    assert (dialled, again) == (1, 8)


def test_the_source_is_named_once(engine: SeekdbEngine) -> None:
    """Over restarts of ours, and differently for each directory."""
    first = engine.source_id()

    assert first == SeekdbEngine(engine.base).source_id()
    assert len(first) == 32
    assert [engine.base.source_id] == list(engine.base.ours.iterdir())


def test_a_reader_that_is_down_reads_what_is_there(engine: SeekdbEngine) -> None:
    """Nothing, here."""
    reader = engine.reader()

    assert reader.read(LogPosition(0), 1000) is None
    reader.close()


def test_the_paths_are_the_engines(tmp_path: Path) -> None:
    """Where the process prints to is ours."""
    assert BaseDir(tmp_path).output == tmp_path / "redoubt" / "engine.out"
