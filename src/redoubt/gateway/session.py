"""One client's session, from the greeting to the end of both its connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from redoubt.gateway.accounts import SYS
from redoubt.gateway.conversation import Conversation
from redoubt.gateway.encoding import error_payload
from redoubt.gateway.faults import ClientGone, EngineGone, LoginRefused, NotDurable, ProtocolError
from redoubt.gateway.handshake import decode_change_user
from redoubt.gateway.login import Reception, authenticate, log_in
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import Command
from redoubt.gateway.seams import Neighbours
from redoubt.gateway.writes import Writes

if TYPE_CHECKING:
    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.seams import StatementHandler
    from redoubt.gateway.wire import Wire

_log = structlog.get_logger(__name__)

_HEADER = 4
_CLOSING_PATIENCE = 2.0

# A command up to this long is read as a whole and may be Redoubt's; a longer one goes to the engine as it comes.
_TEXT_LIMIT = 1024 * 1024


class GatewayContext(Neighbours, Reception, Protocol):
    """The gateway as its sessions see it."""

    handler: StatementHandler
    login_patience: float


class Session:
    """A client's connection and, once it is logged in, its engine's.

    Commands run strictly one after the other, so replies keep the order of pipelined commands.
    """

    def __init__(self, client: Wire, connection_id: int, gateway: GatewayContext) -> None:
        self.link: EngineLink | None = None
        self.writes: Writes | None = None
        self.host = client.addresses[1][0]
        self.since = asyncio.get_running_loop().time()
        self.ended = False
        self._client = client
        self._connection_id = connection_id
        self._gateway = gateway
        self._idle = False

    @property
    def has_spoken(self) -> bool:
        """See `Login`."""
        return self._client.has_spoken

    def end(self) -> None:
        """See `Login`."""
        self.ended = True
        self._client.close()

    async def run(self) -> None:
        """Serve the client until client, engine or gateway ends the session; both connections are closed then."""
        try:
            await self._serve()
        except LoginRefused as refused:
            payload = error_payload(refused.error, with_sqlstate=refused.with_sqlstate)
            self._client.send(frame(payload, refused.sequence))
            self._report("login refused", code=refused.error.code, message=refused.error.message)
        except TimeoutError:
            self._report("login timed out")
        except ProtocolError as error:
            self._report("protocol error", why=str(error))
        except NotDurable as error:
            self._report("session ended in the middle of a reply", why=str(error))
        except EngineGone:
            self._report_engine_gone()
        except ClientGone:
            _log.debug("client gone", connection=self._connection_id)
        except Exception:  # noqa: BLE001 - a bug here must not end the gateway
            _log.exception("session failed", connection=self._connection_id)
        finally:
            await self._end()

    async def _serve(self) -> None:
        async with asyncio.timeout(self._gateway.login_patience):
            link = await log_in(self._client, self._gateway, self._connection_id)
        conversation = self._enter(link)
        while True:
            self._idle = True
            length = await self._next_length()
            if length > _TEXT_LIMIT:
                command = (await self._client.peek(_HEADER + 1))[_HEADER]
                self._leave_idle()
                await conversation.run_long(command)
                continue
            raw = await self._client.read(_HEADER + length)
            self._leave_idle()
            if raw[_HEADER] == Command.QUIT:
                conversation.link.wire.send(raw)
                return
            if raw[_HEADER] == Command.CHANGE_USER:
                conversation = await self._change_user(raw[_HEADER:], conversation.link)
            else:
                await conversation.run(raw)

    async def _next_length(self) -> int:
        """Return the length of the next command's first part, which stays in the buffer."""
        header = await self._client.peek(_HEADER)
        length = header[0] | header[1] << 8 | header[2] << 16
        if header[3] != 0:
            raise ProtocolError("the command's packet is out of order")
        if length == 0:
            raise ProtocolError("the command is empty")
        return length

    def _leave_idle(self) -> None:
        self._idle = False
        assert self.link
        if self.link.wire.lost:
            raise EngineGone
        if self.link.wire.waiting:
            raise ProtocolError("the engine sent unexpected data")

    def _enter(self, link: EngineLink) -> Conversation:
        """Begin to serve a logged-in client: when one of the two connections is lost, the other is closed."""
        self.link = link
        self._client.on_lost = link.wire.close
        link.wire.on_lost = self._engine_lost
        directory = self._gateway.directory
        self.writes = None if link.tenant == SYS else Writes(lambda: directory.gate_of(link.tenant), link)
        return Conversation(self._client, link, self._gateway.handler, self._gateway, self.writes)

    async def _change_user(self, payload: bytes, old: EngineLink) -> Conversation:
        """Log in again, with a new connection to the engine of the named tenant."""
        request = decode_change_user(payload, old.capabilities)
        self._leave(old)
        async with asyncio.timeout(self._gateway.login_patience):
            return self._enter(await authenticate(self._client, self._gateway, request, 0))

    def _leave(self, link: EngineLink) -> None:
        self.link = self.writes = None
        self._client.on_lost = link.wire.on_lost = None
        link.wire.close()

    def _engine_lost(self) -> None:
        # During a reply, the task that waits for the reply notices, and can still tell the client.
        if self._idle and not self._client.lost:
            self._report_engine_gone()
            self._client.close()

    async def _end(self) -> None:
        wires = [self._client]
        if self.link:
            wires.append(self.link.wire)
            self._leave(self.link)
        await asyncio.gather(*(wire.finish(_CLOSING_PATIENCE) for wire in wires))

    def _report_engine_gone(self) -> None:
        if not self._client.lost:
            self._report("engine went away")

    def _report(self, event: str, **details: object) -> None:
        """Log the one event that says why this session ended; never log packet contents."""
        names = {"tenant": self.link.tenant, "user": self.link.user} if self.link else {}
        printable = {
            key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for key, value in (names | details).items()
        }
        _log.warning(event, connection=self._connection_id, peer=self._client.peer, **printable)
