"""The listener and its sessions."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import structlog

from redoubt.gateway.encoding import error_payload
from redoubt.gateway.faults import ClientGone
from redoubt.gateway.kill import FIRST_CONNECTION_ID
from redoubt.gateway.packets import frame
from redoubt.gateway.places import Places
from redoubt.gateway.session import Session
from redoubt.gateway.wire import Wire
from redoubt.sql.errors import too_many_connections

if TYPE_CHECKING:
    from redoubt.gateway.accounts import Account
    from redoubt.gateway.seams import StatementHandler, TenantDirectory
    from redoubt.gateway.tls import Tls
    from redoubt.gateway.writes import Writes

_log = structlog.get_logger(__name__)

_BACKLOG = 1024


class Gateway:
    """The one network door: gives every client that logs in a session with its tenant's engine.

    `places` bounds the clients; `login_patience` is in seconds. Without `tls`, connections are not encrypted.
    """

    def __init__(
        self,
        directory: TenantDirectory,
        handler: StatementHandler,
        *,
        places: Places | None = None,
        login_patience: float = 10.0,
        tls: Tls | None = None,
    ) -> None:
        self.directory = directory
        self.handler = handler
        self.login_patience = login_patience
        self.tls = tls
        self._places = places or Places()
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._ids = count(FIRST_CONNECTION_ID)
        self._sessions: dict[int, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address; port 0 takes a free one. A gateway is started once."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(ClientGone, self._accept), host, port, backlog=_BACKLOG)
        address = self._server.sockets[0].getsockname()
        return address[0], address[1]

    async def stop(self) -> None:
        """Close the listener and all sessions, and wait until they are gone."""
        self._stopping = True
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    def engine_id(self, tenant: str, connection_id: int) -> int | None:
        """Return the engine's connection id of a tenant's session, by the gateway's id; None without one."""
        session = self._sessions.get(connection_id)
        link = session.link if session else None
        return link.connection_id if link and link.tenant == tenant else None

    def engine_ids(self, tenant: str) -> set[int]:
        """Return the engine's connection ids of all of a tenant's sessions."""
        links = (session.link for session in self._sessions.values())
        return {link.connection_id for link in links if link and link.tenant == tenant}

    def writes_of(self, tenant: str, connection_id: int) -> list[Writes]:
        """Return the writing of a tenant's sessions that have the id, the gateway's or the engine's."""
        return [
            session.writes
            for known_id, session in self._sessions.items()
            if session.link
            and session.writes
            and session.link.tenant == tenant
            and connection_id in (known_id, session.link.connection_id)
        ]

    def has_place_for(self, account: Account) -> bool:
        """Whether one more session may begin."""
        return self._places.has_session_for(account, sum(1 for session in self._sessions.values() if session.link))

    def _accept(self, client: Wire) -> None:
        if self._stopping:  # accepted by the system just before the listener closed
            client.close()
            return
        logins = [session for session in self._sessions.values() if not (session.link or session.ended)]
        if not self._places.make_room(client.addresses[1][0], logins, asyncio.get_running_loop().time()):
            client.send(frame(error_payload(too_many_connections()), 0))
            client.close()
            _log.warning("too many logins at once", logins=len(logins), peer=client.peer)
            return
        connection_id = next(self._ids)
        session = Session(client, connection_id, self)
        self._sessions[connection_id] = session
        task = asyncio.get_running_loop().create_task(session.run(), name=f"gateway session {connection_id}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(connection_id, done))

    def _forget(self, connection_id: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._sessions[connection_id]
