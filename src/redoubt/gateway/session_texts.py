"""A session's memory of Redoubt's own statements: those prepared as text, and the diagnostics of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.gateway.encoding import encode_text
from redoubt.gateway.local_files import LocalFiles
from redoubt.gateway.prepared import PreparedStatement, check_room
from redoubt.gateway.session_grammar import Deallocate, Execute, Prepare, ShowDiagnostics
from redoubt.sql.answers import Column, ColumnType, Ok, Rows
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse

if TYPE_CHECKING:
    from redoubt.gateway.link import EngineLink

_UNKNOWN_HANDLER = 1243
_COLUMNS = (Column("Level", length=32), Column("Code", ColumnType.LONGLONG, 20), Column("Message", length=512))


class SessionTexts:
    """One per session. `concerned`: the next text must be parsed, because it may refer to something stored here.

    `files` are the client's files that the session's statements name.

    A name belongs to us or to the engine, never to both: the last PREPARE of the name wins, as in MySQL.
    """

    def __init__(self, link: EngineLink) -> None:
        self.concerned = False
        self.files = LocalFiles()
        self._link = link
        self._names: dict[str, PreparedStatement] = {}
        self._left: tuple[tuple[str, SqlError], ...] | None = None

    def leave(self, *errors: SqlError, level: str = "Error") -> None:
        """Note that a statement of ours has run, with its errors or notes."""
        self._left = tuple((level, error) for error in errors)
        self.concerned = True

    def forget_diagnostics(self) -> None:
        """Note that a statement of the engine runs: diagnostics are the engine's again."""
        self._left = None
        self.concerned = bool(self._names)

    def overlook(self, text: bytes) -> None:
        """Note a text that is too long to be read: it may give any of our names to the engine."""
        if self._names and b"prepare" in text.lower():
            self._names.clear()

    def clear(self) -> None:
        """Forget all, as the engine does when a client resets its connection."""
        self._names.clear()
        self.files.clear()
        self.forget_diagnostics()

    def executed(self, statement: Execute) -> PreparedStatement | None:
        """Return the statement of a name; None if the name is not ours. Raises SqlError for values: ours take none."""
        prepared = self._names.get(statement.name)
        if prepared and statement.with_values:
            raise SqlError(1210, "HY000", "Incorrect arguments to EXECUTE")
        return prepared

    async def answer(self, statement: Prepare | Deallocate | ShowDiagnostics) -> Ok | Rows | None:
        """Run a statement; None leaves it to the engine. Raises SqlError."""
        if isinstance(statement, Prepare):
            return await self._prepare(statement)
        if isinstance(statement, Deallocate):
            return Ok() if self._names.pop(statement.name, None) else None
        return self._show(statement)

    async def _prepare(self, statement: Prepare) -> Ok | None:
        self._names.pop(statement.name, None)
        text = statement.text if statement.text is not None else await self._value(statement.variable)
        self.files.remember(statement.name, encode_text(text))
        own = parse(text, await self._link.modes_for(encode_text(text)))
        if own is None:
            return None
        check_room(len(self._names))
        await self._drop_engines(statement.name)
        self._names[statement.name] = PreparedStatement(own, text)
        return Ok()

    async def _value(self, variable: str) -> str:
        """Return a variable's value; nothing if the value is too long to be ours."""
        answer = await self._link.query(f"SELECT IF(LENGTH({variable}) <= {LONGEST_TEXT}, {variable}, '')")
        assert isinstance(answer, Rows)
        return str(answer.rows[0][0] or "")

    async def _drop_engines(self, name: str) -> None:
        """Make the engine forget its statement of a name that is now ours."""
        quoted = name.replace("`", "``")
        try:
            await self._link.query(f"DEALLOCATE PREPARE `{quoted}`")
        except SqlError as error:
            if error.code != _UNKNOWN_HANDLER:
                raise

    def _show(self, statement: ShowDiagnostics) -> Rows | None:
        if self._left is None:
            return None
        left = [each for each in self._left if statement.what == "warnings" or each[0] == "Error"]
        if statement.count:
            name = f"@@session.{statement.what[:-1]}_count"
            return Rows((Column(name, ColumnType.LONGLONG, 20),), [(len(left),)])
        end = None if statement.limit is None else statement.offset + statement.limit
        return Rows(_COLUMNS, [(level, error.code, error.message) for level, error in left[statement.offset : end]])
