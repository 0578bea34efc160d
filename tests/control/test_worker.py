"""The worker's process, where it is not there or does not end."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from redoubt.control.rounds import worker_process as module
from redoubt.control.rounds.worker_process import WorkerProcess
from redoubt.messages.archiving import Configure


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
