"""Has an engine's process stand still for a moment, and sees to it that it goes on.

SIGSTOP and SIGCONT are sent by a process of its own, the guard: it lets the engine go on when it is told to, when the
time is over, and when whoever started it is gone, for then its standard input ends. Should the guard be killed, the
other side lets the engine go on. Should both be, nobody holds the lock on the mark in the directory any more, and
whoever sees that lets the engine go on: `resume_stopped`, when it is started or reached, and as long as it is watched.

`python -m redoubt.engines.seekdb.pausing PIDFD PID LIMIT`
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.bases import PauseOverError

_STOPPED = frozenset("Tt")
_STANDING = _STOPPED | frozenset("ZX")
_POLL = 0.0005
_ANSWER_PATIENCE = 10.0
_FLOCK = struct.Struct("hhqqi")
"""`struct flock`: type, whence, start, length, pid."""


class EnginePause:
    """A process that stands still; see `Pause`."""

    def __init__(self, pid: int, limit: float, guard: subprocess.Popen[str], began: float) -> None:
        self._pid = pid
        self._limit = limit
        self._guard = guard
        self._began = began
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """See `Pause`."""
        return (time.monotonic() if self._ended is None else self._ended) - self._began

    def check(self) -> None:
        """See `Pause`."""
        if self.seconds >= self._limit:
            raise PauseOverError(f"the engine stood still for {self.seconds:.2f} s, and may for {self._limit:.2f} s")
        if self._guard.poll() is not None:
            raise PauseOverError("the process that guards the pause was ended")
        if _state(Path(f"/proc/{self._pid}")) not in _STOPPED:  # it may be starting again already
            raise PauseOverError(
                "the engine did not stand still for as long as its files were read: it went on or ended"
            )

    def end(self) -> None:
        """It goes on now."""
        self._ended = time.monotonic()


def pid_of(base: BaseDir) -> int | None:
    """The id of the engine's process, None if none runs in that directory."""
    try:
        pid = int(base.pid.read_text())
        return pid if Path(f"/proc/{pid}/cwd").samefile(base.path) else None
    except (OSError, ValueError):
        return None


def resume_stopped(base: BaseDir) -> None:
    """Let an engine go on that a pause has left standing: whoever made it, and its guard, were killed.

    Nothing happens while one of them is alive. Cheap where there is no mark.
    """
    try:
        mark = os.open(base.pausing, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pid = pid_of(base)
        if pid is not None:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(pid, signal.SIGCONT)
        base.pausing.unlink(missing_ok=True)
    except BlockingIOError:  # they are alive, and will see to it
        return
    finally:
        os.close(mark)


@contextlib.contextmanager
def pause(base: BaseDir, limit: float) -> Iterator[EnginePause]:
    """See `BaseSource.pause`."""
    with _mark(base) as mark, _process(base) as (pid, process), _guard(process, pid, limit, mark) as guard:
        _expect(guard, "ready")
        began = time.monotonic()
        _tell(guard)
        _expect(guard, "standing")
        standing = EnginePause(pid, limit, guard, began)
        try:
            yield standing
        finally:
            _go_on(process)
            standing.end()


@contextlib.contextmanager
def _mark(base: BaseDir) -> Iterator[int]:
    """The mark in the directory, locked for as long as this process or its guard lives. Raises PauseOverError."""
    mark = os.open(base.pausing, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PauseOverError(f"another process has the engine in {base.path} stand still just now") from None
        if not _is_at(mark, base.pausing):  # another's, whose pause has ended in this instant
            raise PauseOverError(f"another process had the engine in {base.path} stand still until now")
        try:
            yield mark
        finally:
            base.pausing.unlink(missing_ok=True)
    finally:
        os.close(mark)


@contextlib.contextmanager
def _process(base: BaseDir) -> Iterator[tuple[int, int]]:
    """The engine's process: its id, and a descriptor that is this process whatever becomes of the id. Raises OSError.

    The engine holds a lock on its pid file, so what the file says cannot be another process's by now.
    """
    pid = pid_of(base)
    if pid is None:
        raise ConnectionError(f"no engine runs in {base.path}, or its process belongs to another user")
    process = os.pidfd_open(pid)
    try:
        if _holder(base.pid) != pid:
            raise ConnectionError(f"process {pid} is not the engine in {base.path}, though {base.pid} says so")
        signal.pidfd_send_signal(process, 0)  # PermissionError, before anything has been done
        yield pid, process
    finally:
        os.close(process)


@contextlib.contextmanager
def _guard(process: int, pid: int, limit: float, mark: int) -> Iterator[subprocess.Popen[str]]:
    """The guard's process. On leaving it has ended, and the engine goes on."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "redoubt.engines.seekdb.pausing", str(process), str(pid), str(limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(process, mark),
        start_new_session=True,  # whoever kills our whole group leaves the guard
    )
    try:
        yield guard
    finally:
        _go_on(process)
        with suppress(BrokenPipeError):
            try:
                guard.communicate(timeout=_ANSWER_PATIENCE)
            except subprocess.TimeoutExpired:  # it was stopped itself
                guard.kill()
                guard.communicate()
        _go_on(process)  # the guard may have stopped it between


def _go_on(process: int) -> None:
    with suppress(ProcessLookupError):  # it has ended
        signal.pidfd_send_signal(process, signal.SIGCONT)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> int:
    """The id of the process that holds a lock on a file, 0 if none does."""
    with path.open("rb") as file:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file.fileno(), fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def _tell(guard: subprocess.Popen[str]) -> None:
    assert guard.stdin is not None
    with suppress(BrokenPipeError):  # its answer, or that there is none, says more
        guard.stdin.write("stop\n")
        guard.stdin.flush()


def _expect(guard: subprocess.Popen[str], word: str) -> None:
    assert guard.stdout is not None
    readable, _, _ = select.select([guard.stdout], [], [], _ANSWER_PATIENCE)
    said = guard.stdout.readline().strip() if readable else "its guard does not answer"
    if said != word:
        raise PauseOverError(f"the engine could not be stopped for a moment: {said or 'its guard was ended'}")


def guard_process(process: int, pid: int, limit: float) -> None:
    """What the guard does: on a line, stop the process; on another, the end of input, or in time: let it go on."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _say("ready")
    if not os.read(sys.stdin.fileno(), 64):
        return
    deadline = time.monotonic() + limit
    try:
        signal.pidfd_send_signal(process, signal.SIGSTOP)
        while not _stands(pid):
            if time.monotonic() > deadline:
                _say("it did not stop in time")
                return
            time.sleep(_POLL)
        _say("standing")
        select.select([sys.stdin], [], [], max(deadline - time.monotonic(), 0))
    except OSError as error:
        _say(str(error))
    finally:
        _go_on(process)


def _stands(pid: int) -> bool:
    """Whether every thread of the process stands still. One that waits for a disk does not. Raises OSError."""
    return all(_state(task) in _STANDING for task in Path(f"/proc/{pid}/task").iterdir())


def _state(task: Path) -> str:
    """The letter for what a process or thread does, X if there is none."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _say(word: str) -> None:
    with suppress(BrokenPipeError):
        print(word, flush=True)  # noqa: T201 - to whoever started it


if __name__ == "__main__":
    guard_process(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
