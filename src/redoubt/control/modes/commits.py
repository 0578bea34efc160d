"""Synchronous commit: a tenant's commits are acknowledged only when they are durable in the archive.

Commits that arrive during a flush share the next flush. If a commit is not durable within the time-out, the commit gets
an error; with fallback, all commits are acknowledged unarchived until a flush succeeds again. Every change is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from redoubt.sql.errors import SqlError, commit_not_archived


class SyncState(StrEnum):
    """The mode of acknowledging commits."""

    OFF = "OFF"
    SYNC = "SYNC"
    ASYNC = "ASYNC"
    """Synchronous commit is on, but has fallen back."""


@dataclass(frozen=True)
class SyncRule:
    """The time-out of a commit in seconds, and whether to acknowledge the commit after the time-out."""

    timeout: float
    falls_back: bool


class SynchronousCommit:
    """For the event loop. `send(number)` requests a flush; `tell(before, after, cause)` is called on changes."""

    def __init__(self, send: Callable[[int], None], tell: Callable[[SyncState, SyncState, str], None]) -> None:
        self._send = send
        self._tell = tell
        self._rule = SyncRule(10.0, falls_back=False)
        self._number = 0
        self._is_under_way = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.state = SyncState.OFF
        self.cause = ""
        """The cause of a fallback."""

    @property
    def is_synchronous(self) -> bool:
        """Whether a commit waits now."""
        return self.state is SyncState.SYNC

    async def make_durable(self) -> None:
        """Return when all log written before the call is durable, or when commits need not wait. Raises SqlError."""
        if not self.is_synchronous:
            return
        rule, waiting = self._rule, (self._number + 1, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self.flush()
        try:
            async with asyncio.timeout(rule.timeout):
                await waiting[1]
        except TimeoutError:
            self._late(waiting[1], rule)
        finally:
            with suppress(ValueError):  # already removed, unless the client went away
                self._waiting.remove(waiting)

    def flush(self) -> None:
        """Ask for all log that is there now to be made durable, unless that is under way."""
        if not self._is_under_way:
            self._is_under_way = True
            self._number += 1
            self._send(self._number)

    def flushed(self, number: int) -> None:
        """Handle the end of a flush."""
        self._release(number)
        if number < self._number:
            return
        self._is_under_way = False
        if self.state is SyncState.ASYNC:
            self._change(SyncState.SYNC, "")
        if self._waiting:
            self.flush()

    def resend(self) -> None:
        """Repeat the request for a running flush, to a new worker."""
        if self._is_under_way:
            self._send(self._number)

    def turn_on(self, rule: SyncRule) -> None:
        """Make commits wait. During a fallback, request a flush to test whether the archive has recovered."""
        self._rule = rule
        if self.state is SyncState.OFF or not rule.falls_back:
            self._change(SyncState.SYNC, "")
        if self.state is SyncState.ASYNC:
            self.flush()

    def turn_off(self, error: SqlError | None = None) -> None:
        """Let commits pass without waiting. Commits that wait now are released, or get `error`."""
        if self.state is SyncState.OFF:
            return
        self._change(SyncState.OFF, "")
        self._release(self._number + 1, error)
        self._is_under_way = False

    def _late(self, answer: asyncio.Future[None], rule: SyncRule) -> None:
        """Handle a commit's time-out. Raises SqlError, unless the commit was released meanwhile."""
        if answer.done() and not answer.cancelled():
            return answer.result()
        if self.state is SyncState.ASYNC:
            return None  # another commit has just caused the fallback
        cause = f"a commit was not archived within {rule.timeout:g} s"
        if not (rule.falls_back and self.is_synchronous):
            raise commit_not_archived(cause) from None
        self._change(SyncState.ASYNC, cause)
        return self._release(self._number + 1)

    def _release(self, number: int, error: SqlError | None = None) -> None:
        done = [waiter for wanted, waiter in self._waiting if wanted <= number and not waiter.done()]
        self._waiting = [pair for pair in self._waiting if pair[0] > number]
        for waiter in done:
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _change(self, state: SyncState, cause: str) -> None:
        before, self.state, self.cause = self.state, state, cause
        if before is not state:
            self._tell(before, state, cause)
