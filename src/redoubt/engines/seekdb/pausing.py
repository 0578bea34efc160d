"""Pauses an engine's process for a moment, and makes sure that the engine resumes.

A separate process, the guard, sends SIGSTOP and SIGCONT. The guard resumes the engine on request, when the time is
over, and when its starter is gone (then the guard's standard input ends). If the guard is killed, the starter resumes
the engine. If both are killed, the lock on the mark in the directory is free; then `resume_stopped` resumes the engine,
whenever the engine is started or reached, and as long as a keeper watches the engine.

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
    """A paused process; see `Pause`."""

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
            raise PauseOverError(f"the pause took {self.seconds:.2f} s, longer than the limit of {self._limit:.2f} s")
        if self._guard.poll() is not None:
            raise PauseOverError("the guard process of the pause has ended")
        if _state(Path(f"/proc/{self._pid}")) not in _STOPPED:  # the engine may be restarting already
            raise PauseOverError("the engine resumed or ended while its files were read")

    def end(self) -> None:
        """Record the end of the pause."""
        self._ended = time.monotonic()


def pid_of(base: BaseDir) -> int | None:
    """The id of the engine's process, None if no engine runs in the directory."""
    try:
        pid = int(base.pid.read_text())
        return pid if Path(f"/proc/{pid}/cwd").samefile(base.path) else None
    except (OSError, ValueError):
        return None


def resume_stopped(base: BaseDir) -> None:
    """Resume an engine that was left paused because the pausing process and its guard were killed.

    Does nothing while one of the two is alive. Cheap without a mark.
    """
    try:
        mark = os.open(base.pausing, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pid = pid_of(base)
        if pid is not None:
            with suppress(ProcessLookupError):  # the engine has ended
                os.kill(pid, signal.SIGCONT)
        base.pausing.unlink(missing_ok=True)
    except BlockingIOError:  # one of the two is alive, and will resume the engine
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
            raise PauseOverError(f"another process pauses the engine in {base.path}") from None
        if not _is_at(mark, base.pausing):  # the mark of another process, whose pause has just ended
            raise PauseOverError(f"another process has just paused the engine in {base.path}")
        try:
            yield mark
        finally:
            base.pausing.unlink(missing_ok=True)
    finally:
        os.close(mark)


@contextlib.contextmanager
def _process(base: BaseDir) -> Iterator[tuple[int, int]]:
    """The engine's process: its id, and a descriptor that stays valid if the id is reused. Raises OSError.

    The engine holds a lock on its pid file, so the id in the file cannot belong to another process.
    """
    pid = pid_of(base)
    if pid is None:
        raise ConnectionError(f"no engine runs in {base.path}, or its process belongs to another user")
    process = os.pidfd_open(pid)
    try:
        if _holder(base.pid) != pid:
            raise ConnectionError(f"process {pid}, named in {base.pid}, is not the engine in {base.path}")
        signal.pidfd_send_signal(process, 0)  # PermissionError before any change
        yield pid, process
    finally:
        os.close(process)


@contextlib.contextmanager
def _guard(process: int, pid: int, limit: float, mark: int) -> Iterator[subprocess.Popen[str]]:
    """The guard's process. At the end of the context the guard has ended, and the engine runs again."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "redoubt.engines.seekdb.pausing", str(process), str(pid), str(limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(process, mark),
        start_new_session=True,  # a kill of our process group must spare the guard
    )
    try:
        yield guard
    finally:
        _go_on(process)
        with suppress(BrokenPipeError):
            try:
                guard.communicate(timeout=_ANSWER_PATIENCE)
            except subprocess.TimeoutExpired:  # the guard itself was stopped
                guard.kill()
                guard.communicate()
        _go_on(process)  # the guard may have stopped the engine in between


def _go_on(process: int) -> None:
    with suppress(ProcessLookupError):  # the process has ended
        signal.pidfd_send_signal(process, signal.SIGCONT)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> int:
    """The id of the process that holds a lock on a file, 0 without a lock."""
    with path.open("rb") as file:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file.fileno(), fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def _tell(guard: subprocess.Popen[str]) -> None:
    assert guard.stdin is not None
    with suppress(BrokenPipeError):  # the guard's answer, or its absence, says more
        guard.stdin.write("stop\n")
        guard.stdin.flush()


def _expect(guard: subprocess.Popen[str], word: str) -> None:
    assert guard.stdout is not None
    readable, _, _ = select.select([guard.stdout], [], [], _ANSWER_PATIENCE)
    said = guard.stdout.readline().strip() if readable else "the guard process does not answer"
    if said != word:
        raise PauseOverError(f"cannot pause the engine: {said or 'the guard process has ended'}")


def guard_process(process: int, pid: int, limit: float) -> None:
    """The guard's work: a line stops the process; the next line, the end of input or the limit resumes the process."""
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
                _say("the engine did not stop in time")
                return
            time.sleep(_POLL)
        _say("standing")
        select.select([sys.stdin], [], [], max(deadline - time.monotonic(), 0))
    except OSError as error:
        _say(str(error))
    finally:
        _go_on(process)


def _stands(pid: int) -> bool:
    """Whether every thread of the process is stopped. A thread that waits for a disk is not. Raises OSError."""
    return all(_state(task) in _STANDING for task in Path(f"/proc/{pid}/task").iterdir())


def _state(task: Path) -> str:
    """The letter for the state of a process or thread, X if it does not exist."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _say(word: str) -> None:
    with suppress(BrokenPipeError):
        print(word, flush=True)  # noqa: T201 - to the guard's starter


if __name__ == "__main__":
    guard_process(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
