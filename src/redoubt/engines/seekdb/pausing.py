"""Has an engine's process stand still for a moment, and sees to it that it goes on.

SIGSTOP and SIGCONT are sent by a process of its own, the guard: it lets the engine go on when it is told to, when the
time is over, and when whoever started it is gone, for then its standard input ends. Should the guard be killed, the
other side lets the engine go on; should both be, `resume_stopped` does at the next start, by the mark in the directory.

`python -m redoubt.engines.seekdb.pausing PID LIMIT`
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.bases import PauseOverError

_STANDING = frozenset("TtZX")
_POLL = 0.0005
_ANSWER_PATIENCE = 10.0


class EnginePause:
    """A process that stands still; see `Pause`."""

    def __init__(self, limit: float, guard: subprocess.Popen[str], began: float) -> None:
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
        if self.seconds >= self._limit or self._guard.poll() is not None:
            raise PauseOverError(f"the engine stood still for {self.seconds:.2f} s, and may for {self._limit:.2f} s")

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
    """Let an engine go on that a pause has left standing: whoever made it, and its guard, were killed."""
    if not base.pausing.exists():
        return
    pid = pid_of(base)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    base.pausing.unlink(missing_ok=True)


@contextlib.contextmanager
def pause(base: BaseDir, limit: float) -> Iterator[EnginePause]:
    """See `BaseSource.pause`."""
    pid = pid_of(base)
    if pid is None:
        raise PauseOverError(f"no engine runs in {base.path}")
    base.pausing.touch(mode=0o600)
    process = os.pidfd_open(pid)
    guard = subprocess.Popen(
        [sys.executable, "-m", "redoubt.engines.seekdb.pausing", str(pid), str(limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # whoever kills our whole group leaves the guard
    )
    try:
        _expect(guard, "ready")
        began = time.monotonic()
        _tell(guard)
        _expect(guard, "standing")
        standing = EnginePause(limit, guard, began)
        try:
            yield standing
        finally:
            with contextlib.suppress(ProcessLookupError):  # the engine has ended
                signal.pidfd_send_signal(process, signal.SIGCONT)
            standing.end()
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGCONT)
        os.close(process)
        with contextlib.suppress(BrokenPipeError):
            guard.communicate()
        base.pausing.unlink(missing_ok=True)


def _tell(guard: subprocess.Popen[str]) -> None:
    assert guard.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # its answer, or that there is none, says more
        guard.stdin.write("stop\n")
        guard.stdin.flush()


def _expect(guard: subprocess.Popen[str], word: str) -> None:
    assert guard.stdout is not None
    readable, _, _ = select.select([guard.stdout], [], [], _ANSWER_PATIENCE)
    said = guard.stdout.readline().strip() if readable else "nothing"
    if said != word:
        raise PauseOverError(f"the engine could not be stopped for a moment: {said or 'the guard ended'}")


def guard_process(pid: int, limit: float) -> None:
    """What the guard does: on a line, stop the process; on another, the end of input, or in time: let it go on."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    process = os.pidfd_open(pid)
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
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGCONT)


def _stands(pid: int) -> bool:
    """Whether every thread of the process stands still."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (task / "stat").read_text().rpartition(")")[2].split()[0] not in _STANDING:
                return False
    return True


def _say(word: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(word, flush=True)  # noqa: T201 - to whoever started it


if __name__ == "__main__":
    guard_process(int(sys.argv[1]), float(sys.argv[2]))
