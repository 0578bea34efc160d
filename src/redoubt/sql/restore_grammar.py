"""Statements of restore.

After ALTER SYSTEM:

    tenant  := RESTORE name FROM name [AT string] UNTIL string [WITH string] [PREVIEW]
    standby := RESTORE name [FROM string] [UNTIL moment] [WITH string] [DESCRIPTION ['='] string]
    tables  := RESTORE table (',' table)* FOR name FROM name [AT string] UNTIL string [WITH string]
    sources := ADD RESTORE SOURCE string | CLEAR RESTORE SOURCE
    table   := [name '.'] name

After SHOW:

    preview := RESTORE PREVIEW

A name is a bare word or in backticks, as in OceanBase, and not a string: `RESTORE name FROM string` is the form of
OceanBase 4.x, which makes a standby; for `moment` see `standby_grammar.py`. OceanBase requires WITH; Redoubt does not.
"""

from __future__ import annotations

from redoubt.sql.cursor import Cursor
from redoubt.sql.standby_grammar import moment
from redoubt.sql.statements import (
    AddRestoreSource,
    ClearRestoreSource,
    RestoreStandby,
    RestoreTables,
    RestoreTenant,
    ShowRestorePreview,
)
from redoubt.sql.tokens import Kind

_NAME = (Kind.WORD, Kind.BACKTICK)


def restore(cursor: Cursor) -> RestoreTenant | RestoreStandby | RestoreTables:
    """Parse the text after RESTORE."""
    tables = _tables(cursor)
    database, name = tables[0]
    if len(tables) == 1 and not database and not cursor.at_word("for"):
        if not cursor.take_word("from"):
            return _standby(cursor, name, None)
        if cursor.token.kind is Kind.STRING:
            return _standby(cursor, name, cursor.advance().value)
        source, at, until, options = _whence(cursor)
        return RestoreTenant(name, source, until, options, at, cursor.take_word("preview"))
    cursor.expect_word("for")
    name = cursor.expect(*_NAME).value
    cursor.expect_word("from")
    source, at, until, options = _whence(cursor)
    return RestoreTables(tables, name, source, until, options, at)


def add_restore_source(cursor: Cursor) -> AddRestoreSource:
    """Parse the text after ADD."""
    cursor.expect_words("restore", "source")
    return AddRestoreSource(cursor.expect(Kind.STRING).value)


def clear_restore_source(cursor: Cursor) -> ClearRestoreSource:
    """Parse the text after CLEAR."""
    cursor.expect_words("restore", "source")
    return ClearRestoreSource()


def show_restore_preview(cursor: Cursor) -> ShowRestorePreview:
    """Parse the text after SHOW RESTORE."""
    cursor.expect_word("preview")
    return ShowRestorePreview()


def _standby(cursor: Cursor, name: str, uris: str | None) -> RestoreStandby:
    """Read the end of 4.x's form, after FROM."""
    until = moment(cursor) if cursor.take_word("until") else None
    options = cursor.expect(Kind.STRING).value if cursor.take_word("with") else ""
    description = ""
    if cursor.take_word("description"):
        cursor.take_symbol("=")
        description = cursor.expect(Kind.STRING).value
    return RestoreStandby(name, options, uris, until, description)


def _tables(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    tables = [_table(cursor)]
    while cursor.take_symbol(","):
        tables.append(_table(cursor))
    return tuple(tables)


def _table(cursor: Cursor) -> tuple[str, str]:
    first = cursor.expect(*_NAME).value
    return (first, cursor.expect(*_NAME).value) if cursor.take_symbol(".") else ("", first)


def _whence(cursor: Cursor) -> tuple[str, str | None, str, str]:
    """Read the end of both forms, after FROM: source, AT, UNTIL and WITH."""
    source = cursor.expect(*_NAME).value
    at = cursor.expect(Kind.STRING).value if cursor.take_word("at") else None
    cursor.expect_word("until")
    until = cursor.expect(Kind.STRING).value
    options = cursor.expect(Kind.STRING).value if cursor.take_word("with") else ""
    return source, at, until, options
