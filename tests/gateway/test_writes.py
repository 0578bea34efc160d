"""A wait at the write gate whose end is a kill: who hears what, in whatever order the engine acts."""

from __future__ import annotations

import asyncio
import socket
from contextlib import nullcontext
from typing import cast

import pytest

from redoubt.gateway.faults import EngineGone
from redoubt.gateway.link import EngineLink
from redoubt.gateway.wire import Wire
from redoubt.gateway.writes import Writes
from redoubt.sql.answers import Rows
from redoubt.sql.effects import Effect
from redoubt.sql.errors import SqlError

from .gates import Gate


class Link:
    """A session's connection to an engine, as far as a wait needs it."""

    status = 0

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def query(self, _sql: str) -> Rows:
        """The time-out of a query, in microseconds."""
        return Rows((), [(20_000_000,)])


@pytest.mark.parametrize(("is_killing", "error"), [(True, SqlError), (False, EngineGone)])
def test_an_engine_may_close_before_it_answers_who_kills(*, is_killing: bool, error: type[Exception]) -> None:
    """What waits is told that it was killed; without a kill under way it is told that the engine has gone."""

    async def scene() -> None:
        gate = Gate()
        gate.loop = asyncio.get_running_loop()
        gate.is_closed = True
        here, there = socket.socketpair()
        _, wire = await gate.loop.create_connection(lambda: Wire(EngineGone), sock=here)
        writes = Writes(lambda: gate, cast("EngineLink", Link(wire)))
        waiting = asyncio.create_task(writes.admit(Effect.WRITE))
        while not gate.waiting:  # noqa: ASYNC110 - a gate of other tests' has no event
            await asyncio.sleep(0)
        with writes.killing() if is_killing else nullcontext():
            there.close()
            with pytest.raises(error) as ended:
                await waiting
        assert not isinstance(ended.value, SqlError) or ended.value.code == 1317

    asyncio.run(scene())
