"""The Protocols that the gateway needs: the tenants' directory and the handler of Redoubt's own statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from redoubt.gateway.writes import Writes
    from redoubt.sql.answers import Answer, Column, Ok, Rows
    from redoubt.sql.errors import SqlError
    from redoubt.sql.statements import Statement


class WriteGate(Protocol):
    """A tenant's write gate and its synchronous commit. For the event loop; both are off most of the time."""

    @property
    def is_closed(self) -> bool:
        """Whether writing statements have to wait."""

    @property
    def is_synchronous(self) -> bool:
        """Whether a commit must be durable in the archive before the client gets the reply."""

    async def wait_until_open(self) -> None:
        """Return when the gate is open."""

    def refusal(self, waited: float) -> SqlError:
        """The error for a statement that has waited that many seconds: the cause, and what to do."""

    async def make_durable(self) -> None:
        """Return when all log that the engine had written at the call is durable in the archive.

        Returns also when the synchronous commit falls back or ends meanwhile. Raises SqlError after its time-out.
        """

    def writing(self) -> AbstractContextManager[None]:
        """A context around a running writing statement; closing the gate waits for its end."""


class TenantDirectory(Protocol):
    """Knows the cluster's tenants and the sockets that their engines listen on."""

    @property
    def cluster_name(self) -> str:
        """The name that `user@tenant#cluster` has to give, in any case."""

    @property
    def allows_empty_password(self) -> bool:
        """Whether anybody may log in as a root without a password, not only the user that runs the service."""

    def socket_of(self, tenant: str) -> Path | None:
        """Return the unix socket of a tenant's engine, or None if there is no such tenant.

        The name comes in lower case. An engine that is down at the moment keeps its socket: the gateway tries it and
        tells the client to come back in a few seconds.
        """

    def gate_of(self, tenant: str) -> WriteGate | None:
        """Return a tenant's write gate; None as long as the tenant has none: a new tenant gets one soon."""


class EngineSession(Protocol):
    """A client's session as a statement's handler sees it: its user, and its engine connection."""

    @property
    def tenant(self) -> str:
        """The tenant's name, in lower case."""

    @property
    def user(self) -> str:
        """The user's name without tenant and cluster."""

    @property
    def kept(self) -> dict[str, object]:
        """Values that a handler keeps for later statements of this session; a reset empties it."""

    async def query(self, sql: str) -> Ok | Rows:
        """Run a text statement on the session's own engine connection, as the session's user.

        Values are as text (None is NULL). Raises SqlError with the engine's code, SQLSTATE and message. Only to be
        used while `StatementHandler.handle` runs, and by one task at a time.
        """


class StatementHandler(Protocol):
    """Answers the statements that Redoubt adds to the engine's."""

    async def handle(self, statement: Statement, session: EngineSession) -> Answer | None:
        """Run a statement and return its answer; None hands it to the engine unchanged.

        A SqlError becomes the client's error packet. Any other exception is logged and answered with a general
        error; the session goes on. It is not cancelled when the client goes away, only when the gateway stops.
        """

    def columns(self, statement: Statement, tenant: str) -> tuple[Column, ...]:
        """Return the columns that a statement in a session of that tenant answers, empty if it answers no rows.

        Runs nothing: a client wants to know the columns when it prepares the statement.
        """


class Neighbours(Protocol):
    """What a session needs of other sessions; ids are the gateway's, or the engine's in a tenant."""

    def engine_id(self, tenant: str, connection_id: int) -> int | None:
        """Return the engine's connection id of a tenant's session, by the gateway's id; None without one."""

    def writes_of(self, tenant: str, connection_id: int) -> list[Writes]:
        """Return the writing of a tenant's session, by either id."""
