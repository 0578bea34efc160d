"""The answer to a statement, before it is encoded as packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from redoubt.sql.errors import SqlError


class ColumnType(IntEnum):
    """The MySQL column types that Redoubt's own answers use (protocol numbers)."""

    LONGLONG = 0x08
    VAR_STRING = 0xFD


@dataclass(frozen=True)
class Column:
    """A result column: its name, type and display length in characters."""

    name: str
    type: ColumnType = ColumnType.VAR_STRING
    length: int = 255


@dataclass(frozen=True)
class Ok:
    """A statement without rows succeeded. `notes` are the warnings whose texts are known."""

    affected_rows: int = 0
    warnings: int = 0
    notes: tuple[SqlError, ...] = ()

    @classmethod
    def noted(cls, *notes: SqlError) -> Ok:
        """Success with notes, such as one that would be an error without IF EXISTS or IF NOT EXISTS."""
        return cls(warnings=len(notes), notes=notes)


@dataclass(frozen=True)
class Rows:
    """A result set; a row has one value for each column (None is NULL)."""

    columns: tuple[Column, ...]
    rows: list[tuple[str | int | None, ...]] = field(default_factory=list)


Answer = Ok | Rows


PREVIEW_COLUMNS = (
    Column("BACKUP_TYPE", length=20),
    Column("BACKUP_ID", ColumnType.LONGLONG, 20),
    Column("COPY_ID", ColumnType.LONGLONG, 20),
    Column("PREVIEW_PATH", length=2048),
    Column("FILE_STATUS", length=64),
)
"""The columns of SHOW RESTORE PREVIEW, and of what a deletion would delete."""
