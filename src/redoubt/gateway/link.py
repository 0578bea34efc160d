"""A session's connection to its tenant's engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.gateway.decoding import decode_column, decode_end_status, decode_error, decode_ok, decode_row
from redoubt.gateway.encoding import encode_text
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.packets import Payload, frame
from redoubt.gateway.protocol import MAX_PART, Capability, Command, Marker, Status
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.tokens import DEFAULT_MODES, Modes

if TYPE_CHECKING:
    from redoubt.gateway.wire import Wire

_PACKET_LIMIT = 64 * 1024 * 1024


class EngineLink:
    """The engine side of a session, logged in as its user: the `EngineSession` that handlers are given.

    `capabilities` are those agreed on with client and engine. `connection_id` is the engine's. `status` are the status
    flags that the engine sent last. `kept` are values that statements keep for later statements of this session.
    """

    def __init__(self, wire: Wire, tenant: str, user: str, capabilities: int, connection_id: int, status: int) -> None:
        self.wire = wire
        self.tenant = tenant
        self.user = user
        self.capabilities = capabilities
        self.connection_id = connection_id
        self.status = status
        self.kept: dict[str, object] = {}

    @property
    def deprecate_eof(self) -> bool:
        """Whether rows end with an OK instead of an EOF."""
        return bool(self.capabilities & Capability.DEPRECATE_EOF)

    async def query(self, sql: str) -> Ok | Rows:
        """Run a text statement; of several results the first is returned."""
        return await self.command(Command.QUERY, encode_text(sql))

    async def command(self, command: int, argument: bytes) -> Ok | Rows:
        """Send a command that is answered like a query, and read the answer to its end."""
        self.wire.send(frame(bytes((command,)) + argument, 0))
        answer = await self._result()
        while self.status & Status.MORE_RESULTS:
            await self._result()
        return answer

    async def modes_for(self, text: bytes) -> Modes:
        """Return the session's modes; the default ones for a text without a backslash, to which they are all the same.

        Asks the engine: only an OK tells the modes. The end of rows does not, nor does an error or the login.
        """
        if b"\\" not in text:
            return DEFAULT_MODES
        await self.command(Command.PING, b"")
        return Modes(backslash_escapes=not self.status & Status.NO_BACKSLASH_ESCAPES)

    async def _result(self) -> Ok | Rows:
        sequence, head = await self._packet()
        while head[0] == Marker.LOCAL_FILE:
            self.wire.send(frame(b"", sequence + 1))  # the gateway sends no local file, so an empty one
            sequence, head = await self._packet()
        if head[0] == Marker.OK:
            ok, self.status = decode_ok(head)
            return ok
        columns = [decode_column((await self._packet())[1]) for _ in range(Payload(head).lenenc_int())]
        if not self.deprecate_eof:
            await self._packet()
        rows = []
        while not self._is_end(row := (await self._packet())[1]):
            rows.append(decode_row(row, len(columns)))
        self.status = decode_end_status(row, deprecate_eof=self.deprecate_eof)
        return Rows(tuple(columns), list(rows))

    async def _packet(self) -> tuple[int, bytes]:
        sequence, payload = await self.wire.packet(_PACKET_LIMIT)
        if not payload:
            raise ProtocolError("the engine's reply is empty")
        if payload[0] == Marker.ERROR:
            self.status &= ~Status.MORE_RESULTS
            raise decode_error(payload)
        return sequence, payload

    def _is_end(self, payload: bytes) -> bool:
        limit = MAX_PART if self.deprecate_eof else Marker.EOF_BELOW
        return payload[0] == Marker.EOF and len(payload) < limit


def engine_unreachable() -> SqlError:
    """The tenant's engine cannot be reached; usually the engine is restarting."""
    return SqlError(1053, "08S01", "the tenant's engine cannot be reached; connect again in a few seconds")


def engine_went_away() -> SqlError:
    """The tenant's engine closed the connection."""
    return SqlError(1053, "08S01", "the tenant's engine closed the connection; reconnect in a few seconds")
