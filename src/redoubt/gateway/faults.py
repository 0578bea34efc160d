"""The reasons for a session's end before the client quits.

    SessionOver
    ├── ProtocolError   bytes that are not the MySQL protocol
    ├── NotDurable      a reply that must not continue, although the client has its beginning
    └── Gone            a connection that is no longer there
        ├── ClientGone
        └── EngineGone
    LoginRefused        the client gets an error packet and no session

A session survives a `redoubt.sql.errors.SqlError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redoubt.sql.errors import SqlError


class SessionOver(Exception):  # noqa: N818 - not every end is an error
    """The session cannot go on."""


class ProtocolError(SessionOver):
    """A peer violated the protocol."""


class NotDurable(SessionOver):
    """The rest of a reply would confirm a commit that is not durable; the client already has its beginning."""


class Gone(SessionOver):
    """A peer closed its connection, or the connection broke."""


class ClientGone(Gone):
    """The client's connection is closed."""


class EngineGone(Gone):
    """The engine's connection is closed."""


class LoginRefused(Exception):  # noqa: N818 - an answer, not a failure
    """The error that ends a login, and the sequence number of its packet; old clients get no SQLSTATE."""

    def __init__(self, error: SqlError, sequence: int, *, with_sqlstate: bool = True) -> None:
        super().__init__(str(error))
        self.error = error
        self.sequence = sequence
        self.with_sqlstate = with_sqlstate
