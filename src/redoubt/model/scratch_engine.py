"""The seam to an engine that is started on a restored directory only to check the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from redoubt.errors import RedoubtError
from redoubt.model.bases import BaseSource
from redoubt.model.log import LogPosition

Rows = tuple[tuple[Any, ...], ...]


class ScratchError(Exception):
    """The engine could not open the directory, or ended; the text says why."""


class OpenedError(RedoubtError):
    """An engine has opened a directory into which more log should be laid."""


class StatementError(Exception):
    """The engine refused a statement; the text is its own."""


@dataclass(frozen=True)
class Login:
    """An account of the engine, and the password to try with it."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, order=True)
class TableName:
    """A user's table."""

    schema: str
    name: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.schema}.{self.name}"


class ScratchEngine(Protocol):
    """A private engine on a private directory. Methods block; all but `start` and `stop` need a started engine.

    All but `stop` raise ScratchError if the engine has ended; the text has the engine's own error.
    """

    def start(self) -> None:
        """Open the directory and replay the laid log. Raises ScratchError."""
        ...

    def goes_on_from(self, end: LogPosition) -> bool:
        """Whether the engine's own log continues the log that ends at `end`; waits a while for the answer.

        The engine's log continues if the engine replayed all of the laid log. Raises ScratchError.
        """
        ...

    def log_in(self, logins: Iterable[Login]) -> str | None:
        """Log in with the first of `logins` that the engine accepts; the user, None if the engine accepts none.

        The methods below act as that user. Raises ScratchError.
        """
        ...

    def catalog(self, scn: int | None) -> Iterator[tuple[str, Rows]]:
        """The system tables that describe databases, tables, columns, indexes, users and grants, as of an SCN, or now.

        Raises StatementError, also if the engine no longer keeps the data of that SCN.
        """
        ...

    def tables(self) -> list[TableName]:
        """The users' tables, in order. Raises StatementError."""
        ...

    def read_table(self, table: TableName, *, whole: bool) -> int | None:
        """Read the table's first rows, by itself and by each index; if `whole`, count its rows both ways.

        The number of rows if `whole`. Raises StatementError, also where two counts differ.
        """
        ...

    def results(self, sql: str) -> Iterator[Rows | None]:
        """The answer of each statement in `sql`: its rows, None for a statement without a result set.

        Raises StatementError.
        """
        ...

    def stop(self) -> None:
        """End the engine. Idempotent."""
        ...


class NotRolledError(RedoubtError):
    """The files do not hold exactly the log up to the wanted end; the text says why, and what to do."""


class Roller(Protocol):
    """Rolls forward a directory that holds a base and laid log."""

    def roll(
        self,
        end: LogPosition,
        logins: Sequence[Login],
        source: str,
        version: str,
        look: Callable[[ScratchEngine], None],
    ) -> BaseSource:
        """Bring the files up to `end`, the end of the laid log, and no further, so that the files make a new base.

        The base belongs to the engine `source`, of that `version`. `look` is called with the engine when its files hold
        all the log. Raises NotRolledError, OSError, and the exceptions of `look`.
        """
        ...
