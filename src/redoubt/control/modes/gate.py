"""A tenant's write gate. While closed, writing statements wait, and the engine refuses writes on other connections.

The gateway asks the gate before each writing statement (`gateway.seams.WriteGate`). The valve closes and opens the
gate.
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
    """For the event loop. `why()` describes the backlog, for the error of statements that wait too long."""

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
        """At the start of the service: keep a closed gate closed, or reopen the engine for writes."""
        if not await asyncio.to_thread(self._engine.has_closed_writes):
            return
        self._is_open.clear()
        if not stays_closed:
            with suppress(OSError):  # the gate stays closed, and the valve retries
                await self.open()

    async def close(self) -> None:
        """Stop new writing statements; then make the engine refuse writes on other connections.

        Waits a while for running statements, because `read_only` would make them fail.
        """
        self._is_open.clear()
        try:
            async with asyncio.timeout(_DRAIN_PATIENCE):
                await self._writing.is_none.wait()
        except TimeoutError:
            _log.warning("writing statements are still running behind the closed gate")
        await self.enforce()

    async def enforce(self) -> None:
        """Make the engine refuse writes, unless that is done. Call again while the gate is closed."""
        if not self._is_enforced:
            try:
                await asyncio.to_thread(self._engine.close_writes)
                self._is_enforced = True
            except OSError as error:
                _log.warning("cannot set read_only, the gate is closed without it", cause=str(error))

    async def open(self) -> None:
        """Make the engine accept writes, then release waiting statements. After OSError the gate stays closed."""
        await asyncio.to_thread(self._engine.open_writes)
        self._is_enforced = False
        self._is_open.set()
