"""A statement's session, and the check of its user's privilege by the engine."""

from __future__ import annotations

from typing import Protocol

from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError

_UNKNOWN_CONFIG = 5099


class Session(Protocol):
    """The session of a statement, as control needs it."""

    @property
    def tenant(self) -> str:
        """The session's tenant."""

    @property
    def kept(self) -> dict[str, object]:
        """Values that statements keep for later statements of the session."""

    async def query(self, sql: str) -> Ok | Rows:
        """Run SQL on the session's own engine connection, as its user. Raises SqlError."""


async def check_privilege(session: Session) -> None:
    """Check that the user has ALTER SYSTEM. Raises SqlError 1227.

    The engine decides: it reports an unknown parameter only to users who may set parameters.
    """
    try:
        await session.query("ALTER SYSTEM SET __redoubt_privilege_probe = ''")
    except SqlError as error:
        if error.code != _UNKNOWN_CONFIG:
            raise
