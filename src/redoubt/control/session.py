"""Who may: the session that a statement came in, and the engine's judgement of its user."""

from __future__ import annotations

from typing import Protocol

from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError

_UNKNOWN_CONFIG = 5099


class Session(Protocol):
    """What is needed of the session that a statement came in."""

    @property
    def tenant(self) -> str:
        """The session's tenant."""

    @property
    def kept(self) -> dict[str, object]:
        """What statements leave for later ones of this session."""

    async def query(self, sql: str) -> Ok | Rows:
        """Run SQL on the session's own engine connection, as its user. Raises SqlError."""


async def check_privilege(session: Session) -> None:
    """See that the user has ALTER SYSTEM. Raises SqlError 1227.

    Let the engine judge: it refuses a parameter that does not exist only to those who may set one.
    """
    try:
        await session.query("ALTER SYSTEM SET __redoubt_privilege_probe = ''")
    except SqlError as error:
        if error.code != _UNKNOWN_CONFIG:
            raise
