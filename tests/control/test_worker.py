"""The worker's process, where it is not there or does not end."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from redoubt.control import job_process
from redoubt.control.rounds import worker_process as module
from redoubt.control.rounds.worker_process import WorkerProcess
from redoubt.messages.archiving import Configure, Event, PieceStopped, to_line
from redoubt.messages.jobs import Failed, RestoreTenant


def test_without_a_worker_nothing_is_sent_killed_or_stopped(tmp_path: Path) -> None:
    """A new worker is told everything, so nothing is lost."""
    process = WorkerProcess(tmp_path, 65536, 1.0)
    process.send(Configure("none"))
    process.kill()
    asyncio.run(process.stop())

    assert process._process is None


def test_a_worker_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its input is a hint that it has to follow in time."""
    monkeypatch.setattr(module, "_STOP_PATIENCE", 0.01)

    async def scene() -> int:
        process = WorkerProcess(tmp_path, 65536, 1.0)
        process._process = await asyncio.create_subprocess_exec("sleep", "60", stdin=PIPE)
        await process.stop()
        return await process._process.wait()

    assert asyncio.run(scene()) == -9


class Deaf:
    """A listener with a bug."""

    def worker_started(self) -> None:
        """Nothing."""

    def worker_says(self, event: Event) -> None:
        """Fail."""
        raise ValueError(f"what is {type(event).__name__}?")


SPEAKER = "import sys; print('printed'); print('x' * 3_000_000); print(sys.argv[1], flush=True); sys.stdin.read()"


def as_worker(line: str) -> Callable[..., Coroutine[None, None, Process]]:
    """What starts a process that says a line, in place of a worker."""
    start = asyncio.create_subprocess_exec

    async def started(*_: object, **options: Any) -> Process:
        return await start(sys.executable, "-c", SPEAKER, line, **options)

    return started


def test_an_error_of_the_listener_leaves_no_worker_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the next one would wait for its lock for ever. What the worker prints meanwhile does not matter."""
    line = to_line(PieceStopped(1001, 1, "", 1)).decode()
    monkeypatch.setattr("redoubt.control.rounds.worker_process.asyncio.create_subprocess_exec", as_worker(line))

    async def scene() -> int:
        process = WorkerProcess(tmp_path, 65536, 1.0)
        running = asyncio.ensure_future(process.run(Deaf()))
        async with asyncio.timeout(20):
            while process._process is None:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)
            with pytest.raises(ValueError, match="what is PieceStopped"):
                await running
            return await process._process.wait()

    assert asyncio.run(scene()) == -9


def test_a_job_waits_for_room_for_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """And runs when there is some; nothing that was done before is lost meanwhile."""
    failures = [BlockingIOError(11, "Resource temporarily unavailable")] * 2 + [OSError(12, "Cannot allocate memory")]
    start = asyncio.create_subprocess_exec

    async def started(*arguments: Any, **options: Any) -> Process:
        if failures:
            raise failures.pop()
        return await start(*arguments, **options)

    monkeypatch.setattr(job_process, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr("redoubt.control.job_process.asyncio.create_subprocess_exec", started)
    outcome = asyncio.run(
        job_process.run_job(RestoreTenant("file:///no/such", "main", "/nowhere", None), lambda *_: None)
    )

    assert not failures
    assert outcome == Failed("/no/such is not a directory: correct the path, create it, or mount the backup disk there")
