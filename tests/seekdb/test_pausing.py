"""An engine that stands still goes on, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from redoubt.engines.seekdb import pausing
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.keeping import EmbeddedKeeper
from redoubt.engines.seekdb.pausing import EnginePause, pause, pid_of, resume_stopped
from redoubt.model.bases import PauseOverError
from redoubt.model.keeping import EngineSizes
from tests.processes import is_alive, state_of, thread_states
from tests.service.application import Application
from tests.service.disks import StallingDisk

from .pauser import Pauser
from .running import Seekdb, answers, running_seekdb, short_directory, until

LONG = 60.0
"""A limit that no test comes to."""
MARGIN = 10.0
"""Seconds that a busy machine may take to carry out what is due."""


def stands(pid: int | None) -> bool:
    """Whether every thread of a process is stopped."""
    return pid is not None and thread_states(pid) == {"T"}


def goes_on(seekdb: Seekdb) -> bool:
    """Whether the engine runs and answers."""
    return not stands(seekdb.instance.pid) and answers(seekdb.instance, seekdb.engine)


@contextmanager
def pauser(seekdb: Seekdb) -> Iterator[Pauser]:
    """Another process, which has the engine stand still now."""
    other = Pauser(seekdb.base, LONG)
    try:
        assert stands(seekdb.instance.pid)
        yield other
    finally:
        other.close()


def kill_guard(standing: EnginePause) -> None:
    """SIGKILL for the guard of a pause."""
    os.kill(standing._guard.pid, signal.SIGKILL)
    os.waitid(os.P_PID, standing._guard.pid, os.WEXITED | os.WNOWAIT)


def test_the_engine_stands_still_and_goes_on(seekdb: Seekdb) -> None:
    """All of its threads; nothing is left of the pause, and how long it was is known."""
    began = time.monotonic()
    with pause(seekdb.base, LONG) as standing:
        assert stands(seekdb.instance.pid)
        assert standing.seconds < time.monotonic() - began
        standing.check()
    took = standing.seconds

    assert goes_on(seekdb)
    assert 0 < took == standing.seconds < time.monotonic() - began
    assert not seekdb.base.pausing.exists()


def test_it_goes_on_when_the_time_is_over(seekdb: Seekdb) -> None:
    """Not before; and what was read meanwhile counts for nothing."""
    limit = 0.4
    with pause(seekdb.base, limit) as standing:
        until(lambda: not stands(seekdb.instance.pid))
        took = standing.seconds
        with pytest.raises(PauseOverError, match=r"the pause took .* s, longer than the limit of 0\.40 s"):
            standing.check()

    assert goes_on(seekdb)
    assert limit <= took < limit + MARGIN


@pytest.mark.parametrize("whole_group", [False, True], ids=["alone", "with its process group"])
def test_it_goes_on_when_the_backup_is_killed(seekdb: Seekdb, *, whole_group: bool) -> None:
    """The guard lets it go, and ends."""
    with pauser(seekdb) as other:
        kill = os.killpg if whole_group else os.kill
        kill(other.process.pid, signal.SIGKILL)
        until(lambda: not stands(seekdb.instance.pid), MARGIN)
        until(lambda: goes_on(seekdb))
        until(lambda: not is_alive(other.guard))
    resume_stopped(seekdb.base)

    assert not seekdb.base.pausing.exists()


def test_it_goes_on_when_the_guard_is_killed(seekdb: Seekdb) -> None:
    """Nothing holds it to its time then, so nothing that was read counts."""
    with pause(seekdb.base, LONG) as standing:
        kill_guard(standing)
        with pytest.raises(PauseOverError, match="guard"):
            standing.check()

    assert goes_on(seekdb)


def test_it_goes_on_after_both_were_killed(seekdb: Seekdb) -> None:
    """Whoever starts, reaches or watches it sees to that, but not while one of them is alive."""
    with pauser(seekdb) as other:
        resume_stopped(seekdb.base)
        assert stands(seekdb.instance.pid)
        os.kill(other.guard, signal.SIGKILL)
        resume_stopped(seekdb.base)
        assert stands(seekdb.instance.pid)
        os.kill(other.process.pid, signal.SIGKILL)
        other.process.wait()
        until(lambda: not is_alive(other.guard))
        assert stands(seekdb.instance.pid)
        resume_stopped(seekdb.base)

    assert goes_on(seekdb)
    assert not seekdb.base.pausing.exists()


def test_two_pauses_at_once_are_one_too_many(seekdb: Seekdb) -> None:
    """The second would end the first."""
    with pause(seekdb.base, LONG) as standing:
        with pytest.raises(PauseOverError, match="another process"), pause(seekdb.base, LONG):
            pass
        standing.check()

    assert goes_on(seekdb)


def test_a_mark_that_goes_in_this_instant_is_another_pauses(seekdb: Seekdb, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that has no name any more keeps nobody out."""
    flock = fcntl.flock

    def slow(descriptor: int, operation: int) -> None:
        seekdb.base.pausing.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    with pytest.raises(PauseOverError, match="has just paused"), pause(seekdb.base, LONG):
        pass

    assert goes_on(seekdb)


def test_an_engine_that_another_lets_go_on_is_noticed(seekdb: Seekdb) -> None:
    """What was read counts for nothing."""
    with pause(seekdb.base, LONG) as standing:
        assert seekdb.instance.pid is not None
        os.kill(seekdb.instance.pid, signal.SIGCONT)
        until(lambda: not stands(seekdb.instance.pid))
        with pytest.raises(PauseOverError, match="resumed or ended while its files were read"):
            standing.check()


def test_an_engine_that_is_killed_in_the_pause_is_noticed() -> None:
    """It may be starting again already. The pause ends like any other, and the engine starts.

    Own engine: it is killed.
    """
    with running_seekdb() as seekdb:
        with pause(seekdb.base, LONG) as standing:
            seekdb.instance.kill()
            with pytest.raises(PauseOverError, match="resumed or ended while its files were read"):
                standing.check()
        with pytest.raises(ConnectionError, match="no engine runs"), pause(seekdb.base, LONG):
            pass
        seekdb.instance.start()
        until(lambda: answers(seekdb.instance, seekdb.engine))

        other = Pauser(seekdb.base, LONG)
        for pid in (other.guard, other.process.pid):
            os.kill(pid, signal.SIGKILL)
        other.process.wait()
        until(lambda: not is_alive(other.guard))
        other.close()
        left_behind = seekdb.instance._process
        assert left_behind is not None
        assert stands(left_behind.pid)
        seekdb.instance._drop_lock()  # as if the service had been killed as well
        seekdb.instance.start()
        until(lambda: answers(seekdb.instance, seekdb.engine))
        assert left_behind.wait() == 0


def test_whoever_watches_an_engine_lets_it_go_on(seekdb: Seekdb) -> None:
    """The service lives on when a backup of its and its guard are killed."""
    keeper = EmbeddedKeeper(seekdb.base, EngineSizes(), may_be_new=False)
    keeper._instance, keeper.trouble = seekdb.instance, ""

    async def watch() -> None:
        keeping = asyncio.ensure_future(keeper.keep())
        await asyncio.to_thread(until, lambda: not stands(seekdb.instance.pid))
        keeping.cancel()

    with pauser(seekdb) as other:
        os.kill(other.guard, signal.SIGKILL)
        other.process.kill()
        asyncio.run(watch())

    assert goes_on(seekdb)
    assert not seekdb.base.pausing.exists()


def test_another_process_is_never_stopped() -> None:
    """The id in an old pid file may be somebody else's by now, even somebody's in that directory."""
    with short_directory() as path:
        base = BaseDir(path)
        base.pid.parent.mkdir()
        base.ours.mkdir()
        other = subprocess.Popen(["sleep", "60"], cwd=path)
        try:
            base.pid.write_text(str(other.pid))
            assert pid_of(base) == other.pid
            with pytest.raises(ConnectionError, match="is not the engine"), pause(base, LONG):
                pass
            assert not stands(other.pid)
        finally:
            other.kill()
            other.wait()
        assert not base.pausing.exists()
        base.pausing.touch()
        resume_stopped(base)
        assert not base.pausing.exists()


def test_a_guard_that_does_not_answer_is_given_up(
    seekdb: Seekdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends at once, and one that says nothing: the engine has not been stopped."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(pausing, "_ANSWER_PATIENCE", 0.2)
    for executable, why in (("/bin/false", "has ended"), (str(program), "does not answer")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", executable)
            with pytest.raises(PauseOverError, match=why), pause(seekdb.base, LONG):
                pass
        assert goes_on(seekdb)


def test_a_guard_that_was_ended_before_it_is_told_stops_nothing(
    seekdb: Seekdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ready, and then gone."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec <&-\necho ready\nkill -9 $$\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(PauseOverError, match="cannot pause the engine"), pause(seekdb.base, LONG):
        pass

    assert goes_on(seekdb)


def guard_of(process: subprocess.Popen[bytes], limit: float) -> subprocess.Popen[str]:
    """A guard alone, ready for a process."""
    descriptor = os.pidfd_open(process.pid)
    try:
        guard = subprocess.Popen(
            [sys.executable, "-m", "redoubt.engines.seekdb.pausing", str(descriptor), str(process.pid), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(descriptor,),
        )
    finally:
        os.close(descriptor)
    assert guard.stdout is not None
    assert guard.stdout.readline() == "ready\n"
    return guard


def test_a_guard_says_why_it_could_not_stop_a_process(tmp_path: Path) -> None:
    """It has ended, or hangs in a disk that does not answer: then it goes on later as if nothing had been."""
    ended = subprocess.Popen(["sleep", "60"])
    guard = guard_of(ended, LONG)
    ended.kill()
    ended.wait()
    assert "No such process" in guard.communicate("stop\n", timeout=30)[0]

    disk = StallingDisk(tmp_path)
    try:
        with disk.stalled():
            hanging = subprocess.Popen(["touch", str(disk.path / "file")])
            until(lambda: state_of(hanging.pid) == "D")
            assert guard_of(hanging, 0.2).communicate("stop\n", timeout=30)[0] == "the engine did not stop in time\n"
        assert hanging.wait(30) == 0
    finally:
        disk.close()


def test_a_guard_that_is_not_wanted_ends(seekdb: Seekdb) -> None:
    """Without a word from whoever started it nothing is stopped."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        assert guard_of(process, LONG).communicate("", timeout=30)[0] == ""
        assert not stands(process.pid)
    finally:
        process.kill()
        process.wait()


def test_only_the_engine_of_an_application_stands_still() -> None:
    """The application's own process goes on meanwhile; it waits where it asks the engine.

    Own engine: an application runs it.
    """
    with short_directory() as path:
        application = Application(path / "data")
        try:
            base = BaseDir(application.directory)
            base.ours.mkdir()
            application.insert(10)
            with pause(base, LONG) as standing:
                assert stands(pid_of(base))
                assert pid_of(base) != application._process.pid
                assert not stands(application._process.pid)
                standing.check()
            application.insert(10)
        finally:
            application.close()
