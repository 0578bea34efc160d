"""SQL for the sys engine that creates the catalog, or upgrades a catalog of an earlier version."""

from __future__ import annotations

import hashlib

from redoubt.catalog.archive_views import ARCHIVE_VIEWS
from redoubt.catalog.backup_views import BACKUP_VIEWS, RESTORE_VIEWS
from redoubt.catalog.own_views import OWN_VIEWS
from redoubt.catalog.restores import RESTORE_TABLES
from redoubt.catalog.second_backups import COPY_TABLES, COPY_VIEWS
from redoubt.catalog.set_views import DRILL_VIEWS, SET_VIEWS
from redoubt.catalog.standbys import STANDBY_VIEWS
from redoubt.catalog.tables import ADDED_COLUMNS, TABLES
from redoubt.catalog.tenant_views import TENANT_VIEWS

VIEWS = {
    **BACKUP_VIEWS,
    **ARCHIVE_VIEWS,
    **TENANT_VIEWS,
    **STANDBY_VIEWS,
    **RESTORE_VIEWS,
    **OWN_VIEWS,
    **SET_VIEWS,
    **DRILL_VIEWS,
    **COPY_VIEWS,
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""


def tables() -> list[str]:
    """Statements that create the tables; each may be run again."""
    return [*TABLES, *RESTORE_TABLES, *COPY_TABLES]


def missing_columns(present: set[tuple[str, str]]) -> list[str]:
    """Statements that add the columns not in `present`, pairs of table and column without schema."""
    return [
        f"ALTER TABLE {table} ADD COLUMN {column} {definition}"
        for table, column, definition in ADDED_COLUMNS
        if (table.partition(".")[2], column) not in present
    ]


def views() -> list[str]:
    """Statements that create or replace the views."""
    return [f"CREATE OR REPLACE VIEW oceanbase.{name} AS {select}" for name, select in VIEWS.items()]


def version() -> str:
    """A digest that identifies this version of the tables and views."""
    return hashlib.sha256("\n".join([*tables(), *map(str, ADDED_COLUMNS), *views()]).encode()).hexdigest()
