"""A new round by itself: only where it is wished, only after an interruption, and not too often."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from redoubt.control.parameters.parameter_list import AUTO_RESTART
from redoubt.control.rounds import archiving
from redoubt.control.rounds import auto_restart as module
from redoubt.control.rounds.auto_restart import AutoRestart
from redoubt.messages.archiving import PieceStopped, StopRound
from redoubt.model.rounds import RoundStatus
from tests.control.stage import Stage, play

ON, OFF = {AUTO_RESTART: "True"}, {AUTO_RESTART: "False"}


class Pauses:
    """Instead of sleeping: notes each pause, and carries on when the test asks for another step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
        self.lengths: list[float] = []
        self.now = 1000.0
        self._has_begun = False
        self._stage = stage
        self._step = asyncio.Semaphore(0)
        self._rests = asyncio.Semaphore(0)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=self._sleep, to_thread=asyncio.to_thread))
        self.restart = AutoRestart(stage.archiving, stage.parameters)
        self._task = asyncio.create_task(self.restart.run())

    async def _sleep(self, seconds: float) -> None:
        self.lengths.append(seconds)
        self._rests.release()
        await self._step.acquire()

    async def step(self, number: int = 1) -> RoundStatus:
        """Let it look, and return when it rests again."""
        if not self._has_begun:
            self._has_begun = True
            await self._rests.acquire()
        for _ in range(number):
            self._step.release()
            await self._rests.acquire()
        return self._stage.archiving.round.status

    async def end(self) -> None:
        """Be done with it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stage.archiving.close()


def _end_stop(stage: Stage) -> None:
    stage.archiving.worker_says(PieceStopped(1001, stage.archiving.round.round_id, ""))


def test_a_broken_round_is_followed_by_a_new_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOARCHIVELOG, wait for STOP, ARCHIVELOG; and a round that is well is left alone."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        assert await pauses.step() is RoundStatus.DOING
        stage.archiving.interrupt(1001, "too much log")
        assert await pauses.step() is RoundStatus.STOPPING
        assert await pauses.step(3) is RoundStatus.STOPPING
        _end_stop(stage)
        assert await pauses.step() is RoundStatus.BEGINNING
        assert await pauses.step(3) is RoundStatus.BEGINNING
        await pauses.end()

    play(scene())

    assert stage.archiving.round.round_id == 2
    assert stage.sent(StopRound) == 1


def test_nothing_happens_where_it_is_not_wished(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken round stays as it is."""

    async def scene() -> None:
        await stage.doing(**OFF)
        pauses = Pauses(monkeypatch, stage)
        stage.archiving.interrupt(1001, "too much log")
        assert await pauses.step(3) is RoundStatus.INTERRUPTED
        await pauses.end()

    play(scene())


def test_a_round_that_somebody_stopped_is_not_begun_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that was well, nor a broken one, nor one that somebody stops while the destination is being tried."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        await stage.stopped()
        assert await pauses.step(3) is RoundStatus.STOP
        await stage.archiving.start()
        stage.archiving.interrupt(1001, "too much log")
        await stage.stopped()
        assert await pauses.step(3) is RoundStatus.STOP
        await stage.archiving.start()
        stage.archiving.interrupt(1001, "too much log")
        loop = asyncio.get_running_loop()

        def stop_meanwhile(_uri: str) -> bool:
            asyncio.run_coroutine_threadsafe(stage.stopped(), loop).result()
            return True

        monkeypatch.setattr(archiving, "works", stop_meanwhile)
        assert await pauses.step(3) is RoundStatus.STOP
        await pauses.end()

    play(scene())

    assert stage.archiving.round.round_id == 3


def test_a_stop_that_could_not_be_written_is_nobodys(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the round then has it stopped."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        stage.archiving.interrupt(1001, "too much log")
        await stage.until(lambda: not stage.archiving._orders._tasks)
        stage.catalog.failures = 1
        assert await pauses.step() is RoundStatus.INTERRUPTED
        await stage.stopped()
        assert await pauses.step(3) is RoundStatus.STOP
        await pauses.end()

    play(scene())


def test_what_was_stopped_before_it_was_unwished_stays_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wishing it again weeks later begins no round."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        stage.archiving.interrupt(1001, "too much log")
        assert await pauses.step() is RoundStatus.STOPPING
        stage.parameters.change(OFF)
        _end_stop(stage)
        assert await pauses.step() is RoundStatus.STOP
        stage.parameters.change(ON)
        assert await pauses.step(3) is RoundStatus.STOP
        await pauses.end()

    play(scene())


def test_a_destination_that_does_not_work_is_tried_less_and_less_often(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The round stays INTERRUPTED; the pause doubles up to a minute, and begins anew when all is well."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        stage.archiving.interrupt(1001, "too much log")
        monkeypatch.setattr(archiving, "works", lambda _uri: False)
        assert await pauses.step(15) is RoundStatus.INTERRUPTED
        assert pauses.lengths[:4] == [0.01, 0.02, 0.04, 0.08]
        assert pauses.lengths[-1] == 60.0
        monkeypatch.setattr(archiving, "works", lambda _uri: True)
        assert await pauses.step() is RoundStatus.STOPPING
        _end_stop(stage)
        stage.parameters.change({"backup_dest": "nonsense"})
        assert await pauses.step(2) is RoundStatus.STOP
        assert pauses.lengths[-3:] == [0.01, 0.02, 0.04]
        stage.parameters.change({"backup_dest": f"file://{tmp_path}"})
        assert await pauses.step() is RoundStatus.BEGINNING
        assert pauses.lengths[-1] == 0.01
        await pauses.end()

    play(scene())


def test_what_breaks_every_round_does_not_make_rounds_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a minute."""

    async def scene() -> None:
        await stage.doing(**ON)
        pauses = Pauses(monkeypatch, stage)
        for round_id in (2, 3):
            stage.archiving.interrupt(1001, "the log is damaged")
            assert await pauses.step() is RoundStatus.STOPPING
            _end_stop(stage)
            assert await pauses.step() is RoundStatus.BEGINNING
            assert stage.archiving.round.round_id == round_id
            stage.archiving.interrupt(1001, "the log is damaged")
            pauses.now += 59
            assert await pauses.step(5) is RoundStatus.INTERRUPTED
            pauses.now += 1
        await pauses.end()

    play(scene())
