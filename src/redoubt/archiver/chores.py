"""Chores: the work of a piece besides shipping log. Chores run one at a time on a thread; failed ones are retried."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from redoubt.archive.store import ArchiveError
from redoubt.model.seams import DestinationError

PERSISTENT = 10.0
"""Seconds of failures after which a chore becomes a complaint."""
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 60.0


@dataclass
class _Chore:
    what: str
    work: Callable[[], Any]
    then: Callable[[Any], None]
    due: float = 0.0
    pause: float = _FIRST_PAUSE
    failed_since: float | None = None
    failure: str = ""


class Chores:
    """The chores of one piece. `executor` runs one call at a time; `clock()` gives seconds; `notify()` wakes `step`."""

    def __init__(self, executor: Executor, clock: Callable[[], float], notify: Callable[[], None]) -> None:
        self._executor = executor
        self._clock = clock
        self._notify = notify
        self._waiting: deque[_Chore] = deque()
        self._running: tuple[_Chore, Future[Any]] | None = None

    @property
    def trouble(self) -> str:
        """The complaint about a chore that has failed for long, empty without one."""
        since = self._clock() - PERSISTENT
        return next((c.failure for c in self._all() if c.failed_since is not None and c.failed_since <= since), "")

    @property
    def failure(self) -> str:
        """The last error of a chore that will be retried, however recent; empty without one."""
        return next((chore.failure for chore in self._all() if chore.failure), "")

    def is_idle(self) -> bool:
        """Whether every chore is done."""
        return not self._all()

    def do(self, what: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run `work` as soon as possible, and retry after DestinationError or ArchiveError.

        `step` calls `then` with the result. `what` describes the failure in a complaint.
        """
        self._waiting.append(_Chore(what, work, then))

    def step(self) -> bool:
        """Finish a chore that is done and start one that is due, without waiting; True if a chore was done."""
        is_done = self._running is not None and self._running[1].done()
        if is_done:
            self._finish()
        if self._running is None:
            self._begin()
        return is_done

    def _begin(self) -> None:
        now = self._clock()
        for chore in self._waiting:
            if chore.due <= now:
                self._waiting.remove(chore)
                future = self._executor.submit(chore.work)
                self._running = (chore, future)
                future.add_done_callback(lambda _: self._notify())
                return

    def _finish(self) -> None:
        assert self._running is not None
        chore, future = self._running
        self._running = None
        try:
            result = future.result()
        except (DestinationError, ArchiveError) as error:
            now = self._clock()
            chore.failure = f"{chore.what}: {error}"
            chore.failed_since = now if chore.failed_since is None else chore.failed_since
            chore.due, chore.pause = now + chore.pause, min(chore.pause * 2, _LONGEST_PAUSE)
            self._waiting.append(chore)
        else:
            chore.then(result)

    def _all(self) -> list[_Chore]:
        return [*([self._running[0]] if self._running else []), *self._waiting]
