"""A write gate that a test works by hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from redoubt.sql.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFUSED = 8001
NOT_DURABLE = 8002


class Gate:
    """Closes and opens, and makes durable or not, when a test says so from its own thread.

    `waiting` and `held` count the statements that wait for the gate and for the archive just now, `waits` and `asked`
    those that ever did; `writing_now` and `written` count the contexts. `failures` are raised by the next calls of
    `make_durable`, one each; None stands for success.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.is_closed = self.is_synchronous = False
        self.waiting = self.waits = self.held = self.asked = self.writing_now = self.written = 0
        self.failures: list[SqlError | None] = []
        self.refused_after: list[float] = []
        self._archive_stands = False
        self._futures: list[asyncio.Future[None]] = []

    # What the gateway calls.

    async def wait_until_open(self) -> None:
        """Wait for a test."""
        self.waits += 1
        self.waiting += 1
        try:
            await self._word()
        finally:
            self.waiting -= 1

    def refusal(self, waited: float) -> SqlError:
        """Return an error, and keep for how long was waited."""
        self.refused_after.append(waited)
        return SqlError(REFUSED, "HY000", "the gate is closed")

    async def make_durable(self) -> None:
        """Wait for a test, or fail at once."""
        self.asked += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.held += 1
        try:
            if self._archive_stands:
                await self._word()
        finally:
            self.held -= 1

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Count."""
        assert not self.is_closed
        self.writing_now += 1
        self.written += 1
        try:
            yield
        finally:
            self.writing_now -= 1

    async def _word(self) -> None:
        self._futures.append(future := self.loop.create_future())
        await future

    # What a test calls.

    def close(self) -> None:
        """Let no more writers in."""
        self._in_loop(lambda: setattr(self, "is_closed", True))

    def open(self) -> None:
        """Let all in."""
        self._in_loop(self._open)

    def flicker(self) -> None:
        """Wake those who wait, with the gate closed again already."""
        self._in_loop(self._wake)

    def synchronous(self, *failures: SqlError | None, stands: bool = False) -> None:
        """Have commits wait for the archive: not at all, or until `release`."""
        self.is_synchronous, self._archive_stands = True, stands
        self.failures = list(failures)

    def release(self) -> None:
        """Have all durable that waits for it."""
        self._in_loop(self._wake)

    def relent(self) -> None:
        """Let everybody through, for good."""
        self._archive_stands = False
        self.open()

    def reset(self) -> None:
        """Be as new."""
        assert (self.waiting, self.held, self.writing_now) == (0, 0, 0)
        self.__init__()  # type: ignore[misc]

    def _open(self) -> None:
        self.is_closed = False
        self._wake()

    def _wake(self) -> None:
        for future in self._futures:
            if not future.done():
                future.set_result(None)
        self._futures.clear()

    def _in_loop(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self.loop.call_soon_threadsafe(act)
        assert done.wait(10)


def not_durable() -> SqlError:
    """The error of an archive that does not keep up."""
    return SqlError(NOT_DURABLE, "HY000", "committed, but not durable in the archive")
