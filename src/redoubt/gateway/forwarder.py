"""Forwards commands to the engine, after the write gate if necessary, and relays the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.gateway.encoding import error_payload
from redoubt.gateway.faults import EngineGone
from redoubt.gateway.link import engine_went_away
from redoubt.gateway.packets import frame
from redoubt.gateway.relay import discard_command, relay_command, relay_reply
from redoubt.gateway.replies import Reply
from redoubt.gateway.shapes import Shape
from redoubt.sql.effects import Effect
from redoubt.sql.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from redoubt.gateway.hold import Hold
    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.wire import Wire
    from redoubt.gateway.writes import Writes


class Forwarder:
    """Forwards a session's commands and relays the replies; `writes` is None if the tenant has no gate."""

    def __init__(self, client: Wire, link: EngineLink, writes: Writes | None) -> None:
        self._client = client
        self._link = link
        self._writes = writes

    async def run(
        self,
        raw: bytes | bytearray,
        shape: Shape,
        effect: Effect = Effect.READ,
        *,
        shift: int = 0,
        more_follow: bool = False,
        named_files: Callable[[], frozenset[bytes]] = frozenset,
    ) -> Reply:
        """Run a command with at most `effect`; the returned reply has been relayed.

        `named_files` are the client's files that the command names.
        """
        reply = Reply(
            shape,
            deprecate_eof=self._link.deprecate_eof,
            shift=shift,
            more_follow=more_follow,
            named_files=named_files,
        )
        if effect is Effect.READ or not self._writes:
            await self.send(raw)
            await self._follow(reply)
        elif hold := await self._admit(self._writes, effect, reply):
            with hold:
                await self.send(raw)
                await self._follow(reply, hold)
        return reply

    async def run_long(self, shape: Shape, effect: Effect) -> None:
        """Run a command that stays in the client's buffer while it waits at the gate."""
        reply = Reply(shape, deprecate_eof=self._link.deprecate_eof)
        if effect is Effect.READ or not self._writes:
            await self._relay_long(reply)
        elif hold := await self._admit(self._writes, effect, reply, long=True):
            with hold:
                await self._relay_long(reply, hold)

    async def send_long(self) -> None:
        """Send a command that is still in the client's buffer and has no reply."""
        await relay_command(self._client, self._link.wire)

    async def send(self, raw: bytes | bytearray) -> None:
        """Send a command that has no reply."""
        self._link.wire.send(raw)
        if self._link.wire.congested:
            await self._link.wire.drain()

    def tell_that_engine_went_away(self, sequence: int) -> None:
        """Send the client the error, before the session ends."""
        self._answer(engine_went_away(), sequence)

    async def _admit(self, writes: Writes, effect: Effect, reply: Reply, *, long: bool = False) -> Hold | None:
        """Wait at the gate; None if the command was refused, and the client has the error."""
        try:
            return await writes.admit(effect)
        except EngineGone:
            self.tell_that_engine_went_away(reply.sequence)
            raise
        except SqlError as error:
            sequence = await discard_command(self._client) + 1 if long else reply.sequence
            self._answer(error, sequence)
            reply.failed = True
            return None

    async def _relay_long(self, reply: Reply, hold: Hold | None = None) -> None:
        sequence = await relay_command(self._client, self._link.wire)
        reply.sequence = (sequence + 1) & 0xFF
        await self._follow(reply, hold)

    async def _follow(self, reply: Reply, hold: Hold | None = None) -> None:
        try:
            await relay_reply(reply, self._client, self._link.wire, hold)
        except EngineGone:
            if not (hold and self._refuse(hold)) and reply.at_boundary:
                self.tell_that_engine_went_away(reply.sequence)
            raise
        if reply.status is not None:
            self._link.status = reply.status
        if self._writes:
            self._writes.note(reply)
        if hold and self._refuse(hold):
            reply.failed = True

    def _refuse(self, hold: Hold) -> bool:
        """Send the error that replaces the reply, if there is one; returns whether there is."""
        if hold.refusal:
            self._answer(hold.refusal, hold.sequence)
        return hold.refusal is not None

    def _answer(self, error: SqlError, sequence: int) -> None:
        self._client.send(frame(error_payload(error), sequence & 0xFF))
