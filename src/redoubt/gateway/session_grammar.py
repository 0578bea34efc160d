"""Session statements that may concern Redoubt's own statements: PREPARE and EXECUTE as text, and SHOW WARNINGS.

    statement := PREPARE name FROM (string | '@' variable) | EXECUTE name [USING …]
               | (DEALLOCATE | DROP) PREPARE name
               | SHOW (WARNINGS | ERRORS) [LIMIT [number ','] number] | SHOW COUNT '(' '*' ')' (WARNINGS | ERRORS)

The session decides whether such a statement is ours or the engine's, see `session_texts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.sql.cursor import Cursor, NotOurs
from redoubt.sql.tokens import DEFAULT_MODES, Kind, Modes

_NAME = (Kind.WORD, Kind.BACKTICK)


@dataclass(frozen=True)
class Prepare:
    """PREPARE: the text itself, or the variable (as typed) that holds it."""

    name: str
    text: str | None = None
    variable: str = ""


@dataclass(frozen=True)
class Execute:
    """EXECUTE, with values or without."""

    name: str
    with_values: bool = False


@dataclass(frozen=True)
class Deallocate:
    """DEALLOCATE PREPARE."""

    name: str


@dataclass(frozen=True)
class ShowDiagnostics:
    """SHOW WARNINGS or ERRORS, those from `offset` on and at most `limit`; or only how many there are."""

    what: str
    offset: int = 0
    limit: int | None = None
    count: bool = False


SessionStatement = Prepare | Execute | Deallocate | ShowDiagnostics


def parse_session_statement(text: str, modes: Modes = DEFAULT_MODES) -> SessionStatement | None:
    """Return the one statement in `text` if it is one of these, else None; never raises."""
    cursor = Cursor(text, modes)
    try:
        statement = _statement(cursor)
    except NotOurs:
        return None
    cursor.take_symbol(";")
    return statement if cursor.token.kind is Kind.END else None


def _statement(cursor: Cursor) -> SessionStatement:
    if cursor.take_word("prepare"):
        return _prepare(cursor)
    if cursor.take_word("execute"):
        return _execute(cursor)
    if cursor.take_word("deallocate", "drop"):
        cursor.expect_word("prepare")
        return Deallocate(_name(cursor))
    cursor.expect_word("show")
    return _show(cursor)


def _prepare(cursor: Cursor) -> Prepare:
    name = _name(cursor)
    cursor.expect_word("from")
    start = cursor.token.start
    if not cursor.take_symbol("@"):
        return Prepare(name, cursor.expect(Kind.STRING).value)
    cursor.expect(*_NAME, Kind.STRING)
    return Prepare(name, variable=cursor.text[start : cursor.end])


def _execute(cursor: Cursor) -> Execute:
    name = _name(cursor)
    with_values = cursor.take_word("using")
    while with_values and not cursor.at_end():
        cursor.advance()
    return Execute(name, with_values)


def _show(cursor: Cursor) -> ShowDiagnostics:
    if cursor.take_word("count"):
        for symbol in "(*)":
            cursor.expect_symbol(symbol)
        return ShowDiagnostics(_what(cursor), count=True)
    what = _what(cursor)
    if not cursor.take_word("limit"):
        return ShowDiagnostics(what)
    first = cursor.expect_number()
    if not cursor.take_symbol(","):
        return ShowDiagnostics(what, limit=first)
    return ShowDiagnostics(what, first, cursor.expect_number())


def _what(cursor: Cursor) -> str:
    word = cursor.word
    cursor.expect_word("warnings", "errors")
    return word


def _name(cursor: Cursor) -> str:
    return cursor.expect(*_NAME).value.lower()
