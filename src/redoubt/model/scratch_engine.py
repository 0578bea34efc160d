"""The seam to an engine that is started on a restored directory only to see what it finds there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from redoubt.errors import RedoubtError
from redoubt.model.bases import BaseSource
from redoubt.model.log import LogPosition

Rows = tuple[tuple[Any, ...], ...]


class ScratchError(Exception):
    """The engine did not open the directory, or ended; the text says why."""


class OpenedError(RedoubtError):
    """An engine has opened a directory into which log is to be laid; the text says so."""


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
    """An engine of our own on a directory of our own. Methods block; all but `start` and `stop` need it started.

    All but `stop` raise ScratchError if it has ended; its text has the engine's own complaint.
    """

    def start(self) -> None:
        """Open the directory; when this returns, the log that was laid is replayed. Raises ScratchError."""
        ...

    def goes_on_from(self, end: LogPosition) -> bool:
        """Whether the engine's own log continues, link by link, the log that ends there; waits a while to see it.

        It does if the engine took all of that log for its own. Raises ScratchError.
        """
        ...

    def log_in(self, logins: Iterable[Login]) -> str | None:
        """The user with whom it let us in, the first of those that it does; None if it lets none in.

        What follows is done as that user. Raises ScratchError.
        """
        ...

    def catalog(self, scn: int | None) -> Iterator[tuple[str, Rows]]:
        """The system tables that describe databases, tables, columns, indexes, users and grants, as of an SCN, or now.

        Raises StatementError, for an SCN also where the engine does not know any more what was then.
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
        """What each of the statements in `sql` answers: its rows, None where it has none to give.

        Raises StatementError.
        """
        ...

    def stop(self) -> None:
        """End the engine. Idempotent."""
        ...


class NotRolledError(RedoubtError):
    """The files of the directory do not hold the log, or more than it; the text says why, and what to do."""


class Roller(Protocol):
    """Rolls a directory forward into which a base was written, and log laid."""

    def roll(
        self,
        end: LogPosition,
        logins: Sequence[Login],
        source: str,
        version: str,
        look: Callable[[ScratchEngine], None],
    ) -> BaseSource:
        """Have the files hold all log up to `end`, at which it ends, and nothing else; they make a base then.

        It is one of the engine `source`, of that `version`. `look` sees the engine when its files hold all of it.
        Raises NotRolledError, OSError, and what `look` raises.
        """
        ...
