"""Answers before they become packets."""

from __future__ import annotations

from redoubt.sql.answers import Column, ColumnType, Ok, Rows


def test_defaults() -> None:
    """An answer is plain unless it says otherwise: text columns, no rows, nothing affected."""
    column = Column("NAME")

    assert Column("NAME", ColumnType.VAR_STRING, 255) == column
    assert Rows((column,), []) == Rows((column,))
    assert Ok(affected_rows=0, warnings=0) == Ok()
