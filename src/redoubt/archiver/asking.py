"""Watches a destination: which request it has not answered yet, and how many it has answered.

A network file system that hangs raises no error: its calls just do not return.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from redoubt.model.seams import Destination, DestinationError, Lock, ObjectInfo

SILENCE = 5.0
"""Seconds without an answer after which a destination counts as silent."""


class WatchedDestination:
    """A `Destination` that one thread uses and other threads watch. `clock()` gives monotonic seconds."""

    def __init__(self, destination: Destination, clock: Callable[[], float]) -> None:
        self._destination = destination
        self._clock = clock
        self._question: tuple[float, str] | None = None
        self._closed = False
        self.answers = 0
        """The number of successful requests; it grows while the destination works."""

    @property
    def silence(self) -> str:
        """The complaint about a request without an answer for too long; unchanged until the answer arrives."""
        question = self._question
        if question is None or self._clock() - question[0] < SILENCE:
            return ""
        return f"the destination has not answered for {SILENCE:.0f} s ({question[1]})"

    def close(self) -> None:
        """Refuse further requests: each raises DestinationError from now on."""
        self._closed = True

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `Destination`."""
        with self._asking(f"storing {name}"):
            self._destination.put_if_absent(name, data)

    def get(self, name: str, offset: int, length: int) -> bytes:
        """See `Destination`."""
        with self._asking(f"reading {name}"):
            return self._destination.get(name, offset, length)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Destination`."""
        with self._asking(f"listing {prefix}"):
            return iter(tuple(self._destination.list(prefix)))

    def folders(self, prefix: str) -> Iterator[str]:
        """See `Destination`."""
        with self._asking(f"listing {prefix}"):
            return iter(tuple(self._destination.folders(prefix)))

    def delete(self, name: str) -> None:
        """See `Destination`."""
        with self._asking(f"removing {name}"):
            self._destination.delete(name)

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:
        """See `Destination`. Looks at the lock are watched too."""
        with self._asking(f"locking {name}"):
            return _WatchedLock(self._destination.lock(name, holder, after), lambda: self._asking(f"looking at {name}"))

    def share(self, name: str) -> Lock | None:
        """See `Destination`."""
        with self._asking(f"sharing {name}"):
            return self._destination.share(name)

    def probe(self) -> None:
        """See `Destination`."""
        with self._asking("probing the destination"):
            self._destination.probe()

    @contextlib.contextmanager
    def _asking(self, question: str) -> Iterator[None]:
        if self._closed:
            raise DestinationError(f"the job ended before {question}")
        self._question = (self._clock(), question)
        try:
            yield
            self.answers += 1
        finally:
            self._question = None


@dataclass(frozen=True)
class _WatchedLock:
    """A lock of a `WatchedDestination`."""

    lock: Lock
    asking: Callable[[], contextlib.AbstractContextManager[None]]

    @property
    def epoch(self) -> int:
        """See `Lock`."""
        return self.lock.epoch

    def is_in_place(self) -> bool:
        """See `Lock`."""
        with self.asking():
            return self.lock.is_in_place()

    def release(self) -> None:
        """See `Lock`. Also of a destination that is closed."""
        self.lock.release()


T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0


class Retrier:
    """Retries requests of one thread. `pause(seconds)` waits between attempts; it returns False to end the retries."""

    def __init__(self, pause: Callable[[float], bool]) -> None:
        self._pause = pause
        self.trouble = ""
        """The destination's current complaint, empty without one."""

    def until_answered(self, question: Callable[[], T]) -> T:
        """The result of `question`, retried after DestinationError. Raises the last error when the retries end."""
        seconds = FIRST_PAUSE
        while True:
            try:
                answer = question()
            except DestinationError as error:
                self.trouble = str(error)
                if not self._pause(seconds):
                    raise
                seconds = min(seconds * 2, LONGEST_PAUSE)
            else:
                self.trouble = ""
                return answer
