"""The home: the lock that makes an archive worker the only one there, what is restored, and accounts that are kept."""

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


def test_what_is_restored_is_no_tenants_directory_before_it_is_whole(tmp_path: Path) -> None:
    """So that no engine starts in half of one; then it has the account of the engine that it was taken of."""
    home, source = Home(tmp_path), "a" * 32
    home.prepare()
    beside = home.restoring(1002)
    beside.ours.mkdir(parents=True)
    beside.restored_from.touch()
    beside.restoring.touch()
    assert not home.is_restored(1002)
    assert home.tenant_ids() == []
    beside.restoring.unlink()
    assert home.is_restored(1002)
    home.keep_account(source, "secret")
    for _ in range(2):
        home.move_in(1002, source)

        assert home.tenant_ids() == [1002]
        assert home.is_restored(1002)
        assert home.tenant(1002).account.read_text() == "secret\n"
    beside.ours.mkdir(parents=True)
    home.remove_tenant(1002)
    assert list((tmp_path / "tenants").iterdir()) == []


def test_a_restored_directory_whose_account_is_not_known_has_none(tmp_path: Path) -> None:
    """The service makes one up when it starts the engine."""
    home = Home(tmp_path)
    home.prepare()
    home.restoring(1002).ours.mkdir(parents=True)
    home.move_in(1002, "b" * 32)

    assert not home.tenant(1002).account.exists()


def test_accounts_are_kept_for_the_owners_eyes(tmp_path: Path) -> None:
    """What a destination says of an engine's id is no file's name until it looks like one."""
    home, source = Home(tmp_path), "a" * 32
    home.keep_account(source, "secret")
    (tmp_path / "other").write_text("not this")
    kept = tmp_path / "accounts" / source

    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert home.account_of(source) == "secret"
    assert [home.account_of(name) for name in ("c" * 32, "../other", "A" * 32, "")] == [None] * 4
