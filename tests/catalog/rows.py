"""Rows for the catalog's tables, and what clients see of them."""

from __future__ import annotations

from typing import Any

import pymysql

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.engines.seekdb.account import connect
from tests.seekdb.running import Seekdb

SECOND = 10**9
AT = 1_790_000_000 * SECOND + 123_456_789
"""2026-09-21 14:13:20 UTC and a bit."""
STATUS = {
    "tenant_id": 1001,
    "incarnation": 1,
    "log_archive_round": 3,
    "status": "DOING",
    "start_piece_id": 0,
    "backup_piece_id": 0,
    "start_scn": AT,
    "checkpoint_scn": AT + SECOND,
    "input_bytes": 0,
    "output_bytes": 0,
    "compatible": 1,
    "create_date": 20260921,
    "backup_dest": "file:///b",
    "comment": "",
}
PIECE = {
    "incarnation": 1,
    "tenant_id": 1001,
    "round_id": 3,
    "backup_piece_id": 0,
    "copy_id": 0,
    "create_date": 20260921,
    "start_scn": AT,
    "checkpoint_scn": AT + SECOND,
    "max_scn": tables.MAX_SCN,
    "status": "ACTIVE",
    "file_status": "AVAILABLE",
    "compatible": 1,
    "start_piece_id": 0,
    "backup_dest": "file:///b",
    "switch_scn": 0,
    "input_bytes": 0,
    "output_bytes": 0,
}
HOLE = {
    "tenant_id": 1001,
    "after": 3,
    "start_lsn": 5,
    "start_scn": AT,
    "cause": "",
    "opened_at": AT,
    "end_lsn": 0,
    "end_scn": 0,
    "closed_at": 0,
}


class Rows:
    """Puts rows into the tables, and reads views as a client does."""

    def __init__(self, seekdb: Seekdb, session: CatalogSession) -> None:
        self._seekdb = seekdb
        self._session = session

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        """Rows that are all of the same columns."""
        columns = ", ".join(f"`{name}`" for name in rows[0])
        places = ", ".join(["%s"] * len(rows[0]))
        with self._session.cursor() as cursor:
            cursor.executemany(
                f"REPLACE INTO {table} ({columns}) VALUES ({places})", [tuple(row.values()) for row in rows]
            )

    def status(self, **values: Any) -> None:
        """A row of STATUS_TABLE."""
        self.put(tables.STATUS_TABLE, STATUS | values)

    def history(self, **values: Any) -> None:
        """A round that is over."""
        self.put(tables.HISTORY_TABLE, STATUS | values)

    def piece(self, **values: Any) -> None:
        """A piece."""
        self.put(tables.PIECE_TABLE, PIECE | values)

    def set(self, **parameters: str) -> None:
        """Parameters as the service keeps them."""
        self.put(tables.PARAMETER_TABLE, *({"name": name, "value": value} for name, value in parameters.items()))

    def view(self, name: str, zone: str = "+00:00") -> list[dict[str, Any]]:
        """In the order of tenants, rounds, pieces; a view gives no warning."""
        with connect(self._seekdb.base) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute("SET time_zone = %s", (zone,))
            cursor.execute(f"SELECT * FROM oceanbase.{name}")
            rows = list(cursor.fetchall())
            cursor.execute("SHOW WARNINGS")
            assert cursor.fetchall() == ()
        keys = ("TENANT_ID", "LOG_ARCHIVE_ROUND", "ROUND_ID", "PIECE_ID", "BACKUP_PIECE_ID", "FIRST_PIECE_ID", "NAME")
        return sorted(rows, key=lambda row: [row[key] for key in keys if key in row])
