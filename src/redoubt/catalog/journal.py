"""The journal of archiving: each tenant's state, every change of state, and every hole.

These are Redoubt's own tables and views (`CDB_REDOUBT_…`), beside OceanBase's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.model.holes import Hole

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_EVENTS_KEPT = 10_000
_CAUSE_LENGTH = 4000


@dataclass(frozen=True)
class TenantState:
    """A row of `CDB_REDOUBT_ARCHIVELOG_STATUS`. Sizes in bytes, SCNs and times in ns since the epoch, words as shown.

    `status_since` and `status_cause` describe the last change of `status`. `compression` is the current codec.
    `sync_commit` is OFF, SYNC or ASYNC (fallen back). `gate` is OPEN or CLOSED. `since` is the start of `health`.
    `waiting_since` is the time of the oldest unarchived log, 0 without a backlog.
    """

    tenant_id: int
    tenant_name: str
    log_archive_round: int
    status: str
    mode: str
    sync_commit: str
    gate: str
    health: str
    since: int
    cause: str
    backlog_bytes: int
    spool_limit: int
    waiting_since: int
    checkpoint_scn: int
    lag_target_us: int
    compression: str
    status_since: int
    status_cause: str


@dataclass(frozen=True)
class ArchiveEvent:
    """A row of `CDB_REDOUBT_ARCHIVELOG_EVENTS`: `what` (STATUS, HEALTH, …) went from one state to another."""

    happened_at: int
    tenant_id: int
    log_archive_round: int
    what: str
    state_before: str
    state_after: str
    cause: str


class Journal:
    """Reads and writes the journal; each method is one transaction. Raises CatalogError."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def write(self, states: list[TenantState], events: list[ArchiveEvent], holes: list[Hole]) -> None:
        """Update the tenants' states, add events, and add or change holes."""
        with self._session.transaction() as cursor:
            _put(cursor, "REPLACE", tables.STATE_TABLE, [_row(state) for state in states])
            _put(cursor, "INSERT", tables.EVENT_TABLE, [vars(event) | _cut(event.cause) for event in events])
            _put(cursor, "REPLACE", tables.HOLE_TABLE, [vars(hole) | _cut(hole.cause) for hole in holes])
            if events:
                _prune(cursor)

    def remove_hole(self, tenant_id: int, after: int) -> None:
        """Remove a hole in which no log is missing."""
        with self._session.transaction() as cursor:
            cursor.execute(f"DELETE FROM {tables.HOLE_TABLE} WHERE tenant_id = %s AND `after` = %s", (tenant_id, after))

    def last_states(self) -> list[TenantState]:
        """The tenants' states as last written."""
        names = list(TenantState.__dataclass_fields__)
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(names)} FROM {tables.STATE_TABLE} ORDER BY tenant_id")
            return [TenantState(*row) for row in cursor.fetchall()]

    def holes(self) -> list[Hole]:
        """The recorded holes, in order."""
        names = list(Hole.__dataclass_fields__)
        columns = ", ".join(f"`{name}`" for name in names)
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {tables.HOLE_TABLE} ORDER BY tenant_id, `after`")
            return [Hole(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _row(state: TenantState) -> dict[str, Any]:
    return vars(state) | _cut(state.cause) | {"status_cause": _cut(state.status_cause)["cause"]}


def _cut(cause: str) -> dict[str, str]:
    """A cause for its column; undecodable characters of file names are replaced."""
    return {"cause": cause[:_CAUSE_LENGTH].encode(errors="replace").decode()}


def _prune(cursor: Cursor) -> None:
    """Keep the newest events. Counts rows, because event ids leap by a million after a restart of the engine."""
    numbers = f"SELECT event_id FROM {tables.EVENT_TABLE} ORDER BY event_id DESC LIMIT 1 OFFSET %s"
    cursor.execute(numbers, (_EVENTS_KEPT,))
    row = cursor.fetchone()
    if row is not None:
        cursor.execute(f"DELETE FROM {tables.EVENT_TABLE} WHERE event_id <= %s", (row[0],))


def _put(cursor: Cursor, how: str, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        columns = [f"`{name}`" for name in rows[0]]
        places = ", ".join(["%s"] * len(columns))
        values = [tuple(row.values()) for row in rows]
        cursor.executemany(f"{how} INTO {table} ({', '.join(columns)}) VALUES ({places})", values)
