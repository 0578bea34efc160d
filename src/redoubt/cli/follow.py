"""`redoubt follow`."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress

from redoubt.archive.store import ArchiveError
from redoubt.cli.printing import complain, console
from redoubt.cli.rehearsing import chosen_tenant, utc_text
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.model.seams import DestinationError
from redoubt.rehearsal.next_log import LogEndsError
from redoubt.rehearsal.standby import Following, Standby

_ENDED = 2
_SAY_EVERY = 60.0


class StoppedError(BaseException):
    """SIGTERM or Ctrl-C was received."""


def keep_following(uri: str, tenant: str | None, directory: Path, *, once: bool, interval: float) -> int:
    """Follow until SIGTERM or Ctrl-C, or once; returns the exit status.

    0: ended by a signal, or done once; 2: no log will ever continue the directory's log; 1: could not be done.
    """
    path = directory.absolute()
    try:
        with asked_to_end():
            destination = open_destination(uri)
            followed = chosen_tenant(destination, tenant)
            kind = engine_kind(followed.engine_kind)
            restored = kind.restored(path)
            restored.refuse_opened()
            with shown_progress() as progress:
                standby = Standby(destination, followed, path, lambda lsn: kind.layer(path, lsn), kind.cutter, progress)
                state = standby.begin()
                with restored.kept_closed():
                    _Loop(standby, state, _say).run(interval, once=once)
    except StoppedError:
        _say(f"stopped; {path} can be opened now")
    except LogEndsError as error:
        complain(f"{error}; {path} can be opened as it is; to follow again, choose another directory")
        return _ENDED
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    return 0


class _Loop:
    """Appends new log to the standby at intervals."""

    def __init__(self, standby: Standby, state: Following, say: Callable[[str], None]) -> None:
        self._standby = standby
        self._state = state
        self._say = say
        self._said_at = float("-inf")
        self._trouble = ""

    def run(self, interval: float, *, once: bool) -> None:
        """Follow until an error that no retry can resolve, or once.

        Raises LogEndsError; ArchiveError if the same damage is seen twice; with `once` also DestinationError, OSError.
        """
        while True:
            try:
                self._state = self._standby.catch_up(self._state)
                self._trouble = ""
            except (ArchiveError, DestinationError, OSError) as error:
                if once or (isinstance(error, ArchiveError) and str(error) == self._trouble):
                    raise
                if str(error) != self._trouble:
                    complain(f"{error}; retrying")
                self._trouble = str(error)
            if once or time.monotonic() - self._said_at >= _SAY_EVERY:
                self._said_at = time.monotonic()
                self._say(f"log written up to {utc_text(self._state.laid.scn)} (LSN {self._state.laid.lsn})")
            if once:
                return
            time.sleep(interval)


@contextmanager
def shown_progress() -> Iterator[Callable[[int, int], None]]:
    """Shows on a terminal how much log is written: call it with the bytes done and the bytes in all."""
    out = console(error=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("writing log", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - one line at a time, for scripts that wait for a line


@contextmanager
def asked_to_end() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the command at any point: as after a crash, the directory can be opened."""

    def end(_number: int, _frame: object) -> None:
        raise StoppedError

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
