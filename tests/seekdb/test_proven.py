"""What depends on the engine's internals is done with proven versions only, each of which is named."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from unittest import mock

import pytest

from redoubt.engines.seekdb import first_start, orphans, proven, rolling, standby_role
from redoubt.engines.seekdb.proven import PROVEN, UnprovenEngineError, installed_version, refuse_unproven
from redoubt.engines.seekdb.rolling import SeekdbRoller
from redoubt.engines.seekdb.standby_role import become_standby
from redoubt.engines.seekdb.undo_log import LogEnd, Orphan, abort_groups
from redoubt.model.keeping import EngineStartError
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, NotRolledError

from .written import WrittenLog

OTHER = "1.4.1.0 (2-cafe)"
TOLD = re.escape(f"was not proven with seekdb {OTHER}, and nothing was done; run: pip install pylibseekdb==")
END = LogPosition(0, 0, 0)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WrittenLog:
    """A directory with some log, where another version of the engine is installed."""
    for module in (orphans, rolling, standby_role):
        monkeypatch.setattr(module, "installed_version", lambda: OTHER)
    written = WrittenLog(tmp_path / "data")
    written.append(b"some")
    return written


def test_the_installed_engine_is_proven() -> None:
    """By what its program says of itself; the package that it came in is the one that is named."""
    assert installed_version() in PROVEN
    assert PROVEN[installed_version()] == metadata.version("pylibseekdb")
    refuse_unproven("anything", installed_version())


def test_the_log_that_rolls_back_is_written_for_no_other() -> None:
    """`undo_log`."""
    with pytest.raises(UnprovenEngineError, match=TOLD):
        abort_groups({Orphan(7, 5): 0}, LogEnd(END, 0), OTHER)


def test_what_is_open_is_rolled_back_on_no_other(log: WrittenLog) -> None:
    """`orphans`: the engine is not even started, and nothing is appended."""
    engine, before = mock.Mock(), log.block(0).read_bytes()
    with pytest.raises(UnprovenEngineError, match=TOLD):
        orphans.end_orphans(log.base, engine)
    log.base.clients.parent.mkdir(parents=True)
    with pytest.raises(UnprovenEngineError, match=TOLD):
        orphans.append_aborts(log.base, [Orphan(7, 5)], 0)

    assert engine.mock_calls == []
    assert log.block(0).read_bytes() == before


def test_the_role_of_no_other_is_changed(log: WrittenLog) -> None:
    """`standby_role`: its database of parameters is not opened."""
    with pytest.raises(UnprovenEngineError, match=TOLD):
        become_standby(log.base)


def test_no_other_is_rolled_forward(log: WrittenLog) -> None:
    """`rolling`, as an error that says that nothing was rolled."""
    with pytest.raises(NotRolledError, match=TOLD):
        SeekdbRoller(log.base, mock.Mock()).roll(END, [], "", "", mock.Mock())


def test_a_first_start_is_not_made_with_another(log: WrittenLog) -> None:
    """What is restored stays as it is, and what to do is told."""
    started = first_start.start_once(log.base, Login("root", ""), mock.Mock(), flush=False)

    assert (started.is_open, started.rolled_back) == (False, None)
    assert re.search(TOLD, started.trouble)


@pytest.mark.parametrize(
    ("said", "text"), [("echo seekdb 9", "printed no version, but: 'seekdb 9"), ("exit 1", "printed no version")]
)
def test_a_program_that_does_not_say_its_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, text: str
) -> None:
    """Nobody knows what it is."""
    program = tmp_path / "seekdb"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(proven, "engine_package", lambda: tmp_path)
    with pytest.raises(UnprovenEngineError, match=re.escape(text)):
        installed_version.__wrapped__()


def _missing() -> Path:
    raise EngineStartError("the package pylibseekdb is not installed")


def _nowhere() -> Path:
    return Path("/nowhere")


@pytest.mark.parametrize("package", [_missing, _nowhere])
def test_a_program_that_cannot_be_asked_is_refused(
    monkeypatch: pytest.MonkeyPatch, package: Callable[[], Path]
) -> None:
    """With the cause."""
    monkeypatch.setattr(proven, "engine_package", package)
    with pytest.raises(UnprovenEngineError, match="cannot ask the engine's program for its version: "):
        installed_version.__wrapped__()
