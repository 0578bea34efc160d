"""What makes the catalog, or brings one of an earlier version up to date, as SQL for the sys engine."""

from __future__ import annotations

import hashlib

from redoubt.catalog.archive_views import ARCHIVE_VIEWS
from redoubt.catalog.backup_views import BACKUP_VIEWS, RESTORE_VIEWS
from redoubt.catalog.own_views import OWN_VIEWS
from redoubt.catalog.restores import RESTORE_TABLES
from redoubt.catalog.set_views import DRILL_VIEWS, SET_VIEWS
from redoubt.catalog.tables import ADDED_COLUMNS, TABLES
from redoubt.catalog.tenant_views import TENANT_VIEWS

VIEWS = {**BACKUP_VIEWS, **ARCHIVE_VIEWS, **TENANT_VIEWS, **RESTORE_VIEWS, **OWN_VIEWS, **SET_VIEWS, **DRILL_VIEWS}
"""SELECT statements, by the name of the view in schema `oceanbase`."""


def tables() -> list[str]:
    """What makes the tables; each may be run again."""
    return [*TABLES, *RESTORE_TABLES]


def missing_columns(present: set[tuple[str, str]]) -> list[str]:
    """What adds the columns that are not among `present`, which are pairs of table and column without schema."""
    return [
        f"ALTER TABLE {table} ADD COLUMN {column} {definition}"
        for table, column, definition in ADDED_COLUMNS
        if (table.partition(".")[2], column) not in present
    ]


def views() -> list[str]:
    """What makes the views, or replaces them."""
    return [f"CREATE OR REPLACE VIEW oceanbase.{name} AS {select}" for name, select in VIEWS.items()]


def version() -> str:
    """What tells these tables and views from those of another version."""
    return hashlib.sha256("\n".join([*tables(), *map(str, ADDED_COLUMNS), *views()]).encode()).hexdigest()
