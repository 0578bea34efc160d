"""The prepared statements of a session that are Redoubt's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redoubt.sql.errors import SqlError

if TYPE_CHECKING:
    from redoubt.sql.statements import Statement

_FIRST_ID = 0x80000001
_LAST_ID = 0xFFFFFFF0
_LIMIT = 1024


@dataclass(frozen=True)
class PreparedStatement:
    """A statement and its text as typed."""

    statement: Statement
    text: str


def check_room(present: int, limit: int = _LIMIT) -> None:
    """Raise SqlError if the limit of prepared statements is reached."""
    if present >= limit:
        raise SqlError(
            1461, "42000", f"Can't create more than max_prepared_stmt_count statements (current value: {limit})"
        )


class PreparedStatements:
    """Redoubt's prepared statements by their ids, which are far above an engine's ids."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._next_id = _FIRST_ID
        self._by_id: dict[int, PreparedStatement] = {}

    def add(self, statement: Statement, text: str) -> int:
        """Keep a statement and return its id."""
        check_room(len(self._by_id), self._limit)
        while self._next_id in self._by_id:
            self._next_id = _after(self._next_id)
        statement_id = self._next_id
        self._by_id[statement_id] = PreparedStatement(statement, text)
        self._next_id = _after(statement_id)
        return statement_id

    def get(self, statement_id: int) -> PreparedStatement | None:
        """Return the statement of that id, None if the id is the engine's."""
        return self._by_id.get(statement_id)

    def close(self, statement_id: int) -> None:
        """Forget a statement."""
        del self._by_id[statement_id]

    def clear(self) -> None:
        """Forget all."""
        self._by_id.clear()


def _after(statement_id: int) -> int:
    return statement_id + 1 if statement_id < _LAST_ID else _FIRST_ID
