"""What an engine that rolls a directory forward may not do is found: each check, with an engine that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from redoubt.engines.seekdb import rolling
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.rolling import SeekdbRoller
from redoubt.model.keeping import EngineSizes
from redoubt.model.scratch_engine import Login, NotRolledError, ScratchEngine, ScratchError

from .test_standby_role import PRIMARY, directory_with_role, role_of
from .written import BLOCK, INFO, WrittenLog, block_info

ROOT = [Login("root", "")]


@dataclass
class Rolling:
    """A directory with two blocks of log, and how an engine in it behaves; `None` is what it does by right."""

    log: WrittenLog
    answers: dict[str, Any] = field(default_factory=dict)
    lets_in: Iterator[str | None] = field(default_factory=lambda: iter(["root"]))
    does: Callable[[WrittenLog], object] = lambda _log: None
    said: list[str] = field(default_factory=list)
    sizes: EngineSizes | None = None
    was_seen: bool = False

    def look(self, engine: ScratchEngine) -> None:
        """It is asked while it runs."""
        assert list(engine.results("table_mgr"))
        self.was_seen = True

    def roll(self, clock: Callable[[], float] = lambda: 0.0) -> int:
        """Roll it; the LSN from which on the new base needs log."""
        roller = SeekdbRoller(self.log.base, self.said.append, clock)
        source = roller.roll(self.log.end, ROOT, "f00d", "1.4.0", self.look)
        assert (source.source_id(), source.version(), source.end_of_log()) == ("f00d", "1.4.0", self.log.end)
        return source.checkpoint().lsn


@pytest.fixture
def rolled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rolling]:
    """Whatever comes of it, the role is as it was."""
    directory_with_role(tmp_path, PRIMARY)
    log = WrittenLog(tmp_path)
    log.append(b"first")
    log.fill_block()
    log.append(b"last")
    made = Rolling(log)

    class Engine:
        """In place of `ScratchSeekdb`."""

        def __init__(self, base: BaseDir, sizes: EngineSizes) -> None:
            made.sizes = sizes

        def start(self) -> None:
            """It does what it does."""
            assert role_of(log.base.path) == "STANDBY:INVALID:NORMAL:0"
            made.does(log)

        def log_in(self, _logins: list[Login]) -> str | None:
            """The next one that it lets in, if it does."""
            return next(made.lets_in)

        def results(self, sql: str) -> Iterator[Any]:
            """What it is asked."""
            end = log.end
            right = {
                "replay_stat": ((end.lsn, 0),),
                "ls_info": ((end.lsn, end.scn),),
                "LOG_STAT": ((end.lsn,),),
                "table_mgr": ((0,),),
            }
            (name,) = (name for name in right if name in sql)
            yield made.answers.get(name, right[name])

        def end_in_order(self) -> None:
            """It ends."""

        def stop(self) -> None:
            """It ends."""

    monkeypatch.setattr(rolling, "ScratchSeekdb", Engine)
    monkeypatch.setattr(rolling, "_POLL", 0)
    monkeypatch.setattr(rolling, "_LOGIN_PATIENCE", 1.0)
    yield made
    assert role_of(log.base.path) == PRIMARY
    assert not log.base.parameters_before.exists()


def test_a_base_begins_with_the_block_of_the_checkpoint(rolled: Rolling) -> None:
    """Log before it may be gone, and a block for log to come, with nothing in it, goes."""
    later = rolled.log.block(2)

    def recycles(log: WrittenLog) -> None:
        log.block(0).unlink()
        later.write_bytes(bytes(BLOCK))

    rolled.does = recycles
    assert rolled.roll() == BLOCK - INFO
    assert not later.exists()
    assert rolled.sizes is not None
    assert rolled.sizes.memory_budget == "2G"
    assert rolled.was_seen


def written_to(log: WrittenLog) -> None:
    """Log of its own behind the end."""
    with log.block(1).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")


@pytest.mark.parametrize(
    ("does", "text"),
    [
        (written_to, "has changed the log in block 1"),
        (lambda log: log.block(2).write_bytes(block_info(2) + bytes(INFO - 48) + b"GR"), "written log of its own"),
        (lambda log: log.block(1).unlink(), r"has removed the log in blocks \[1\]"),
    ],
)
def test_an_engine_that_touches_the_log_is_found_out(
    rolled: Rolling, does: Callable[[WrittenLog], object], text: str
) -> None:
    """It may have thrown away what lies before its checkpoint, and nothing else."""
    rolled.does = does
    with pytest.raises(NotRolledError, match=text):
        rolled.roll()


@pytest.mark.parametrize(
    ("name", "rows", "text"),
    [
        ("LOG_STAT", ((10**9,),), "the engine's log ends at LSN 1000000000"),
        ("ls_info", ((0, 10**18),), "its checkpoint is SCN 1000000000000000000, but"),
        ("table_mgr", ((2,),), "2 tables of the engine claim to hold log from behind"),
        ("replay_stat", (), "the engine returned no row for: SELECT unsubmitted_lsn"),
    ],
)
def test_an_engine_that_is_elsewhere_is_found_out(rolled: Rolling, name: str, rows: Any, text: str) -> None:
    """Its log, its checkpoint, or its tables."""
    rolled.answers[name] = rows
    with pytest.raises(NotRolledError, match=text):
        rolled.roll()


def test_an_engine_that_does_not_get_there_is_given_up(rolled: Rolling) -> None:
    """It says how far it was."""
    rolled.answers["ls_info"] = ((0, 1),)
    now = iter(range(0, 10_000, 100))
    with pytest.raises(NotRolledError, match="made no progress for 600 s"):
        rolled.roll(lambda: float(next(now)))
    assert rolled.said == [f"replayed up to LSN {rolled.log.end.lsn} of {rolled.log.end.lsn}, flushed up to LSN 0"]


def test_an_engine_that_lets_in_nobody_cannot_be_asked(rolled: Rolling) -> None:
    """The text says whom to name."""
    rolled.lets_in = iter([None] * 3)
    now = iter([0.0, 0.0, 0.5, 1.0, 1.5])
    with pytest.raises(NotRolledError, match=r"no login succeeded \(root\), .* give --user"):
        rolled.roll(lambda: next(now))


def test_an_account_that_is_in_the_log_is_waited_for(rolled: Rolling) -> None:
    """It is let in once it is replayed."""
    rolled.lets_in = iter([None, None, "root"])
    assert rolled.roll() == BLOCK - INFO


def test_an_engine_that_ends_at_its_start_is_started_again(rolled: Rolling) -> None:
    """Some times; then what it says last is the reason."""
    tries = iter(range(1, 100))

    def ends(_log: WrittenLog) -> None:
        if (number := next(tries)) != 3:
            raise ScratchError(f"it ended at start {number}")

    rolled.does = ends
    assert rolled.roll() == BLOCK - INFO
    assert [text[:27] for text in rolled.said[:2]] == ["the engine ended at its sta"] * 2
    with pytest.raises(NotRolledError, match="it ended at start 15"):
        rolled.roll()


def test_an_engine_that_ends_during_the_login_is_started_again(rolled: Rolling) -> None:
    """It takes connections before all of its services have started."""

    def ends_once() -> Iterator[str | None]:
        yield None
        rolled.lets_in = iter([None, "root"])
        raise ScratchError("it ended with status 1")

    rolled.lets_in = ends_once()
    assert rolled.roll() == BLOCK - INFO
    assert rolled.said[0].startswith("the engine ended at its start, retrying (1 of ")


def test_an_engine_that_takes_long_to_end_at_its_start_is_not_started_again(rolled: Rolling) -> None:
    """It did not end over system tables."""

    def ends(_log: WrittenLog) -> None:
        raise ScratchError("it did not answer")

    rolled.does = ends
    now = iter([0.0, 601.0])
    with pytest.raises(NotRolledError, match="it did not answer"):
        rolled.roll(lambda: next(now))
