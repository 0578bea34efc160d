"""A tenant's write gate: while it is closed, writing statements wait, and the engine refuses what comes by other doors.

The gateway asks it before it lets a writing statement pass (`gateway.seams.WriteGate`); the valve closes and opens it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import structlog

from redoubt.control.modes.commits import SynchronousCommit
from redoubt.model.seams import Engine
from redoubt.sql.errors import SqlError, gate_closed

_DRAIN_PATIENCE = 5.0
_log = structlog.get_logger("redoubt.control.modes.gate")


class _Writing:
    """Counts the writing statements that run in the engine."""

    def __init__(self) -> None:
        self._count = 0
        self.is_none = asyncio.Event()
        self.is_none.set()

    def __enter__(self) -> None:
        self._count += 1
        self.is_none.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._count -= 1
        if not self._count:
            self.is_none.set()


class TenantGate:
    """For the event loop. `why()` says what the backlog waits for, for those who wait in front of the gate."""

    def __init__(self, engine: Engine, commits: SynchronousCommit, why: Callable[[], str]) -> None:
        self._engine = engine
        self._commits = commits
        self._why = why
        self._writing = _Writing()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._is_enforced = False

    @property
    def is_closed(self) -> bool:
        """See `WriteGate`."""
        return not self._is_open.is_set()

    @property
    def is_synchronous(self) -> bool:
        """See `WriteGate`."""
        return self._commits.is_synchronous

    async def wait_until_open(self) -> None:
        """See `WriteGate`."""
        await self._is_open.wait()

    def refusal(self, waited: float) -> SqlError:
        """See `WriteGate`."""
        return gate_closed(self._why(), waited)

    async def make_durable(self) -> None:
        """See `WriteGate`."""
        await self._commits.make_durable()

    def writing(self) -> _Writing:
        """See `WriteGate`."""
        return self._writing

    async def recover(self, *, stays_closed: bool) -> None:
        """At the start of the service: take over a gate that was closed, or put the engine right."""
        if not await asyncio.to_thread(self._engine.has_closed_writes):
            return
        self._is_open.clear()
        if not stays_closed:
            with suppress(OSError):  # then it stays closed, and the valve tries again
                await self.open()

    async def close(self) -> None:
        """Let no writing statement pass from now on; then have the engine refuse those of other doors.

        Statements that run already are waited for, for a while: `read_only` would make them fail.
        """
        self._is_open.clear()
        try:
            async with asyncio.timeout(_DRAIN_PATIENCE):
                await self._writing.is_none.wait()
        except TimeoutError:
            _log.warning("writing statements are still running behind the closed gate")
        await self.enforce()

    async def enforce(self) -> None:
        """Have the engine refuse writes, if it was not told so yet; to be called again while the gate is closed."""
        if not self._is_enforced:
            try:
                await asyncio.to_thread(self._engine.close_writes)
                self._is_enforced = True
            except OSError as error:
                _log.warning("cannot set read_only, the gate is closed without it", cause=str(error))

    async def open(self) -> None:
        """Have the engine accept writes again, then let those pass that wait. Raises OSError: then it stays closed."""
        await asyncio.to_thread(self._engine.open_writes)
        self._is_enforced = False
        self._is_open.set()
