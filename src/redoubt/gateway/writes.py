"""Tracks a session's writes, and waits at the write gate."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.hold import Hold
from redoubt.gateway.protocol import Status
from redoubt.sql.answers import Rows
from redoubt.sql.effects import Effect, effect_of
from redoubt.sql.errors import SqlError
from redoubt.sql.tokens import Modes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.replies import Reply
    from redoubt.gateway.seams import WriteGate

_MICROSECONDS = 1_000_000


class _NoGate:
    """See `WriteGate`: the gate of a tenant that is not archived yet lets everything pass."""

    is_closed = is_synchronous = False

    async def wait_until_open(self) -> None:
        return None

    def refusal(self, waited: float) -> SqlError:
        raise AssertionError(f"nobody waits where no gate is, but somebody did for {waited} s")

    async def make_durable(self) -> None:
        return None

    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()


_NO_GATE = _NoGate()


class Writes:
    """The writing of a session: which texts write, and whether the open transaction has. `gate_of` finds the gate.

    The status flags do not tell: a read-only transaction has the same flags. So a write is remembered from the sending
    of its statement until a reply says that no transaction is open.
    """

    def __init__(self, gate_of: Callable[[], WriteGate | None], link: EngineLink) -> None:
        self._gate_of = gate_of
        self._known_gate: WriteGate | None = None
        self._link = link
        self._dirty = False
        self._prepared: dict[int, Effect] = {}
        self._interrupted: asyncio.Future[None] | None = None
        self._kills_under_way = 0

    @property
    def _gate(self) -> WriteGate:
        """The tenant's gate, from its first moment on: a session may be older than the gate."""
        self._known_gate = self._known_gate or self._gate_of()
        return self._known_gate or _NO_GATE

    async def effect_of(self, text: bytes) -> Effect:
        """Return the effect of a text in this session. Asks the engine for the modes if the effect depends on them."""
        effect = effect_of(text)
        if b"\\" not in text or effect_of(text, Modes(backslash_escapes=False)) is effect:
            return effect
        return effect_of(text, await self._link.modes_for(text))

    # Prepared statements of the engine's, by their ids.

    def prepared(self, statement_id: int) -> Effect:
        """Return the effect of a prepared statement; WRITE for an unknown one."""
        return self._prepared.get(statement_id, Effect.WRITE)

    def remember(self, statement_id: int, effect: Effect) -> None:
        """Remember the effect of a statement that was just prepared."""
        self._prepared[statement_id] = effect

    def forget(self, statement_id: int) -> None:
        """Forget a closed statement."""
        self._prepared.pop(statement_id, None)

    def forget_all(self) -> None:
        """Forget all prepared statements."""
        self._prepared.clear()

    # Around each statement.

    async def admit(self, effect: Effect) -> Hold:
        """Wait at the gate if necessary. Send the statement at once, within the returned context.

        Raises SqlError if the wait exceeds the session's query time-out or is killed, and SessionOver if the client or
        the engine is lost meanwhile.
        """
        writes = self._dirty or effect is not Effect.COMMITTING
        if writes and self._gate.is_closed:
            await self._wait()
        was_open = self._dirty or bool(self._link.status & Status.IN_TRANSACTION)
        self._dirty = writes
        return Hold(self._gate, effect, writes=writes, was_open=was_open)

    def note(self, reply: Reply) -> None:
        """Learn from a reply whether the transaction has ended; an error does not tell."""
        if self._dirty and reply.status is not None and not reply.failed:
            self._dirty = bool(reply.status & Status.IN_TRANSACTION)

    @contextmanager
    def killing(self) -> Iterator[None]:
        """While the engine is asked to kill; an engine may close the connection before it answers who asked."""
        self._kills_under_way += 1
        try:
            yield
        finally:
            self._kills_under_way -= 1

    def interrupt(self) -> None:
        """End a wait at the gate with an error; does nothing if the session does not wait."""
        if self._interrupted and not self._interrupted.done():
            self._interrupted.set_result(None)

    async def _wait(self) -> None:
        """Return when the gate is open, without giving it time to close again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + await self._patience()
        while self._gate.is_closed:
            now = loop.time()
            if now >= end:
                raise self._gate.refusal(now - began)
            await self._wait_for_change(end - now)

    async def _patience(self) -> float:
        """Return the session's query time-out in seconds."""
        answer = await self._link.query("SELECT @@ob_query_timeout")
        assert isinstance(answer, Rows)
        return int(answer.rows[0][0] or 0) / _MICROSECONDS

    async def _wait_for_change(self, patience: float) -> None:
        """Return when the gate has opened or `patience`, in seconds, is over; raise if the wait must end.

        When the client is lost, the engine's connection is closed, so watching that connection is enough.
        """
        self._interrupted = asyncio.get_running_loop().create_future()
        opened = asyncio.ensure_future(self._gate.wait_until_open())
        spoken = asyncio.ensure_future(self._link.wire.peek(1))
        try:
            changes = (opened, spoken, self._interrupted)
            await asyncio.wait(changes, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if self._interrupted.done() or (self._kills_under_way and self._link.wire.lost):
                raise SqlError(1317, "70100", "Query execution was interrupted")
            if spoken.done():
                await spoken
                raise ProtocolError("the engine sent unexpected data")
            if opened.done():
                await opened
        finally:
            self._interrupted = None
            opened.cancel()
            spoken.cancel()
            await asyncio.gather(opened, spoken, return_exceptions=True)
