"""Rounds with a worker, an engine and a catalog that fail when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from redoubt.archive.messages import ArchiveRound, RoundBroken, RoundProgress, RoundStopped, RoundTrouble, StopRound
from redoubt.catalog.catalog import Catalog
from redoubt.control import archiving as module
from redoubt.control.archiving import Archiving
from redoubt.control.cluster import Cluster
from redoubt.control.handler import Handler
from redoubt.control.parameters import Parameters
from redoubt.model.rounds import Round, RoundStatus
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import ArchiveLog, MinorFreeze, NoArchiveLog
from tests.control.fakes import FakeCatalog, FakeEngine, FakeSession, FakeWorker, tenant_with


class Stage:
    """An `Archiving` and what stands round it."""

    def __init__(self, backup: Path) -> None:
        self.catalog, self.worker, self.engine = FakeCatalog(), FakeWorker(), FakeEngine()
        catalog = cast("Catalog", self.catalog)
        self.parameters = Parameters(catalog)
        self.parameters.change({"backup_dest": f"file://{backup}"})
        tenants = [tenant_with(self.engine)]
        cluster = Cluster("c", 1, "identity")
        self.archiving = Archiving(cluster, tenants, catalog, self.parameters, self.worker)
        self.handler = Handler(tenants, self.archiving, self.parameters)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, ten seconds at most."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    def sent(self, kind: type) -> int:
        """How many commands of a kind the worker got."""
        return sum(isinstance(command, kind) for command in self.worker.commands)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage with short pauses."""
    for name in ("_SAVE_PAUSE", "_RETRY_PAUSE"):
        monkeypatch.setattr(module, name, 0.01)
    return Stage(tmp_path)


def _play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_an_engine_that_is_down_is_asked_again(stage: Stage) -> None:
    """The worker gets its task when the engine can say where to begin."""

    async def scene() -> None:
        stage.engine.failures = 2
        await stage.archiving.start()
        await stage.until(lambda: stage.sent(ArchiveRound) == 1)
        await stage.archiving.close()

    _play(scene())

    assert stage.engine.calls == ["hold_log", "source_id", "start_point"]


def test_a_round_stopped_before_its_engine_answers_holds_nothing(stage: Stage) -> None:
    """What was to be archived is not, and the log is released."""

    async def scene() -> None:
        stage.engine.failures = 10**6
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(RoundStopped(1001, 1, ""))
        stage.engine.failures = 0
        await stage.until(lambda: stage.engine.calls.count("release_all_log") == 2)
        await stage.archiving.close()

    _play(scene())

    assert stage.sent(ArchiveRound) == 0
    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_worker_that_does_not_stop_is_done_without(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round ends by itself, the worker is killed, the cause is on record."""
    monkeypatch.setattr(module, "STOP_PATIENCE", 0.01)
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        await stage.until(lambda: stage.worker.kills == 1)
        await stage.archiving.close()

    _play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP
    assert "did not answer in time" in stage.archiving.round.tenants[1001].comment


def test_a_round_that_stopped_in_time_is_not_forced(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker lives on."""
    monkeypatch.setattr(module, "STOP_PATIENCE", 0.01)
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(RoundStopped(1001, 1, ""))
        await stage.until(lambda: not stage.archiving._tasks)

    _play(scene())

    assert stage.worker.kills == 0


def test_a_catalog_that_fails_is_written_later(stage: Stage) -> None:
    """What the worker tells is not lost."""

    async def scene() -> None:
        await stage.archiving.start()
        saving = asyncio.create_task(stage.archiving.save_changes())
        stage.catalog.failures = 2
        stage.archiving.worker_says(RoundProgress(1001, 1, 5, 2**62, 10, 5, 1))
        await stage.until(lambda: stage.catalog.round is stage.archiving.round)
        saving.cancel()
        await stage.archiving.close()

    _play(scene())

    assert stage.catalog.round is not None
    assert stage.catalog.round.status is RoundStatus.DOING


def test_what_comes_too_late_is_passed_over(stage: Stage) -> None:
    """Words about another round, and a stop that was not asked for, change nothing."""

    async def scene() -> None:
        await stage.archiving.start()
        before = stage.archiving.round
        stage.archiving.worker_says(RoundTrouble(1001, 99, "old"))
        stage.archiving.worker_says(RoundStopped(1001, 1, ""))
        assert stage.archiving.round is before
        await stage.archiving.close()

    _play(scene())


def test_a_break_while_stopping_ends_the_round(stage: Stage) -> None:
    """There is nothing more to wait for."""

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(RoundBroken(1001, 1, "damaged"))
        await stage.archiving.close()

    _play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_new_worker_is_told_to_stop_what_was_stopping(stage: Stage) -> None:
    """A worker that was killed while a round stopped is followed by one that ends it."""

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(StopRound) >= 1)
        await stage.archiving.close()

    _play(scene())


def test_work_that_fails_in_the_background_is_logged(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else happens."""

    async def fail() -> None:
        raise RuntimeError("unforeseen")

    async def scene() -> None:
        stage.archiving._begin(fail())
        await stage.until(lambda: not stage.archiving._tasks)

    _play(scene())

    assert "background work failed" in capsys.readouterr().out


def test_statements_say_that_an_engine_is_away(stage: Stage) -> None:
    """A catalog or an engine that does not answer is 1053, and nothing has begun."""

    async def scene() -> None:
        stage.catalog.failures = 1
        with pytest.raises(SqlError) as catalog:
            await stage.handler.handle(ArchiveLog(), FakeSession())
        stage.engine.failures = 1
        with pytest.raises(SqlError) as engine:
            await stage.handler.handle(MinorFreeze(), FakeSession())
        assert (catalog.value.code, engine.value.code) == (1053, 1053)

    _play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_bad_destination_in_the_catalog_is_refused(stage: Stage) -> None:
    """Also when it got there by other ways than SET."""
    stage.parameters.change({"backup_dest": "nonsense"})

    with pytest.raises(SqlError, match="write it as file:///absolute/path"):
        asyncio.run(stage.archiving.start())


def test_user_tenants_hand_other_statements_to_their_engine(stage: Stage) -> None:
    """A minor freeze is the tenant's own; NOARCHIVELOG is not for it."""

    async def scene() -> None:
        assert await stage.handler.handle(MinorFreeze(), FakeSession("main")) is None
        with pytest.raises(SqlError, match="Access denied"):
            await stage.handler.handle(NoArchiveLog(), FakeSession("main"))

    _play(scene())


def test_a_stopped_round_is_loaded_and_releases_its_log(stage: Stage) -> None:
    """What an earlier service still held is given up."""

    async def scene() -> None:
        stage.catalog.round = Round(3)
        await stage.archiving.load()

    _play(scene())

    assert stage.engine.calls == ["release_all_log"]


def test_progress_told_while_a_stop_is_written_is_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became durable in that moment counts in the round's end."""

    async def scene() -> None:
        await stage.archiving.start()
        save = stage.catalog.save_round

        def save_and_tell(now: Round) -> None:
            stage.archiving.worker_says(RoundTrouble(1001, 1, "told meanwhile"))
            save(now)

        monkeypatch.setattr(stage.catalog, "save_round", save_and_tell)
        await stage.archiving.stop()
        await stage.archiving.close()

    _play(scene())

    assert stage.archiving.round.status is RoundStatus.STOPPING
    assert stage.archiving.round.tenants[1001].comment == "told meanwhile"
