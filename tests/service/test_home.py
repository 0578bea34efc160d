"""The lock that makes an archive worker the only one of its home."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redoubt import home as module
from redoubt.home import Home, _is_doomed, _is_same


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home."""
    home = Home(tmp_path)
    home.prepare()
    return home


@pytest.fixture
def held(home: Home) -> Iterator[int]:
    """The lock while another has it, who has not said yet who it is."""
    descriptor = os.open(home.path / "run" / "archive_worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_a_worker_waits_for_one_that_is_ending(home: Home, held: int) -> None:
    """And then says who has the lock."""
    os.write(held, b"%d\n" % os.getpid())
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(home.worker_lock()))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    fcntl.flock(held, fcntl.LOCK_UN)
    waiting.join(20)

    assert os.pread(got[0], 20, 0) == b"%d\n" % os.getpid()
    os.close(got[0])


def test_a_worker_does_not_wait_for_one_that_cannot_end(home: Home, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which keeps a lock that nobody asks for any more."""
    monkeypatch.setattr(module, "_is_doomed", lambda _pid: True)
    descriptor = home.worker_lock()
    path = home.path / "run" / "archive_worker.lock"

    assert _is_same(descriptor, path)
    assert not _is_same(held, path)
    path.unlink()
    assert not _is_same(descriptor, path)
    os.close(descriptor)


def test_a_process_that_runs_is_not_doomed() -> None:
    """Nor is one that has ended, or what is no process."""
    ended = subprocess.Popen(["true"])
    ended.wait()

    assert not any(map(_is_doomed, (b"%d\n" % os.getpid(), b"%d\n" % ended.pid, b"", b"x\n")))
