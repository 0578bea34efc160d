"""Keepers: an engine that does not start, ends, does not answer, or lets anybody in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from redoubt.engines.seekdb import external, keeping
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.keeping import EmbeddedKeeper, ExternalKeeper
from redoubt.model.keeping import EngineSizes, EngineStartError, OpenDoorError


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedKeeper:
    """A keeper whose engine's process is said to run, and that has short pauses."""
    monkeypatch.setattr(EmbeddedKeeper, "_pause", 0.001)
    monkeypatch.setattr(EmbeddedKeeper, "_longest_pause", 0.002)
    monkeypatch.setattr(Instance, "is_running", lambda _: True)
    monkeypatch.setattr(keeping, "ensure_account", lambda _: None)
    return EmbeddedKeeper(BaseDir(tmp_path), EngineSizes(), may_be_new=True, is_exposed=True)


def _always(error: Exception) -> object:
    def fail(*_: object) -> None:
        raise error

    return fail


async def _until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator] # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def test_an_engine_that_never_answers_is_ended(embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names its directory."""
    monkeypatch.setattr(keeping, "_READY_TIMEOUT", 0.01)
    monkeypatch.setattr(keeping, "ensure_account", _always(ConnectionError("no answer")))
    with pytest.raises(EngineStartError, match=rf"{embedded.base.path} does not answer: no answer"):
        asyncio.run(embedded.start())

    assert "does not answer" in embedded.trouble


def test_an_engine_that_goes_down_as_it_is_asked_is_no_verdict(
    embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether root has a password is not known then."""
    monkeypatch.setattr(keeping, "accepts_empty_root", _always(ConnectionError("no answer")))
    with pytest.raises(EngineStartError, match="no answer"):
        asyncio.run(embedded.start())


def test_a_directory_in_which_nothing_is_counts_as_damaged(
    embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the engine is to make itself there."""
    monkeypatch.setattr(Instance, "is_running", lambda _: False)
    embedded.may_be_new = False
    with pytest.raises(EngineStartError, match="put the directory back, or drop the tenant"):
        asyncio.run(embedded.start())


def test_an_open_door_is_closed_until_root_has_a_password(
    embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the engine comes into reach by itself."""
    is_open = [True]
    monkeypatch.setattr(keeping, "accepts_empty_root", lambda _: is_open[0])

    async def scene() -> None:
        with pytest.raises(OpenDoorError, match="root has no password"):
            await embedded.start()
        assert embedded.is_open_door
        keeping_on = asyncio.ensure_future(embedded.keep())
        is_open[0] = False
        await _until(lambda: not embedded.trouble)
        assert not embedded.is_open_door
        keeping_on.cancel()

    asyncio.run(scene())


def test_an_engine_that_ends_is_started_again(
    embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As often as it takes; the same complaint is made once."""
    running = [True]
    starts: list[None] = []

    def start(_: Instance) -> None:
        starts.append(None)
        if len(starts) < 4:
            raise EngineStartError("no")
        running[0] = True

    monkeypatch.setattr(keeping, "accepts_empty_root", lambda _: False)
    monkeypatch.setattr(Instance, "is_running", lambda _: running[0])
    monkeypatch.setattr(Instance, "start", start)

    async def scene() -> None:
        keeping_on = asyncio.ensure_future(embedded.keep())
        await embedded.was_tried.wait()
        running[0] = False
        await _until(lambda: len(starts) == 4 and not embedded.trouble)
        keeping_on.cancel()

    asyncio.run(scene())
    said = capsys.readouterr().out

    assert said.count("engine ended, restarting") == 1
    assert said.count("cannot reach the engine, retrying") == 1


def test_an_application_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its engine does not answer, the trouble says so; nothing is started."""
    keeper = ExternalKeeper(BaseDir(tmp_path))
    monkeypatch.setattr(ExternalKeeper, "_pause", 0.001)
    answers = [False]

    def end_of_log() -> int:
        if not answers[0]:
            raise ConnectionError("no answer")
        return 0

    def enter(_: object) -> None:
        end_of_log()

    monkeypatch.setattr(keeper.engine, "end_of_log", end_of_log)
    monkeypatch.setattr(external, "enter", enter)

    async def scene() -> None:
        keeping_on = asyncio.ensure_future(keeper.keep())
        await _until(lambda: keeper.trouble == "no answer")
        answers[0] = True
        await _until(lambda: not keeper.trouble)
        answers[0] = False
        await _until(lambda: "archiving waits" in keeper.trouble or keeper.trouble == "no answer")
        keeping_on.cancel()
        await keeper.kill()

    asyncio.run(scene())


@pytest.mark.parametrize("cause", ["Permission denied", "Input/output error", "Stale file handle"])
def test_a_directory_that_cannot_be_looked_into_is_the_keepers_own_trouble(
    embedded: EmbeddedKeeper, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Keeping goes on; when the directory can be looked into again, the trouble is over."""
    states: list[str] = []

    async def scene() -> None:
        await embedded.start()
        keeping_it = asyncio.ensure_future(embedded.keep())
        with monkeypatch.context() as broken:
            broken.setattr(keeping, "resume_stopped", _always(OSError(5, cause)))
            await _until(lambda: embedded.trouble)
            states.append(embedded.trouble)
        await _until(lambda: not embedded.trouble)
        assert not keeping_it.done()
        keeping_it.cancel()

    embedded._is_exposed = False
    asyncio.run(scene())

    assert states == [f"[Errno 5] {cause}"]
