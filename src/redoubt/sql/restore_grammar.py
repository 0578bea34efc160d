"""Statements of restore.

After ALTER SYSTEM:

    tenant  := RESTORE name FROM name [AT string] UNTIL string [WITH string] [PREVIEW]
    tables  := RESTORE table (',' table)* FOR name FROM name [AT string] UNTIL string [WITH string]
    sources := ADD RESTORE SOURCE string | CLEAR RESTORE SOURCE
    table   := [name '.'] name

After SHOW:

    preview := RESTORE PREVIEW

A name is a bare word or in backticks, as in OceanBase, and not a string: before 3.0, `RESTORE name FROM string` was
OceanBase's logical restore. OceanBase requires WITH; Redoubt does not.
"""

from __future__ import annotations

from redoubt.sql.cursor import Cursor
from redoubt.sql.statements import (
    AddRestoreSource,
    ClearRestoreSource,
    RestoreTables,
    RestoreTenant,
    ShowRestorePreview,
)
from redoubt.sql.tokens import Kind

_NAME = (Kind.WORD, Kind.BACKTICK)


def restore(cursor: Cursor) -> RestoreTenant | RestoreTables:
    """Parse the text after RESTORE."""
    tables = _tables(cursor)
    database, name = tables[0]
    if len(tables) == 1 and not database and cursor.take_word("from"):
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
