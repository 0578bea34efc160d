"""Drills in the catalog: a copy of the records in the destination, made by `redoubt drill --home`, and its view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from redoubt.catalog.tables import DRILL_TABLE
from redoubt.catalog.view_terms import time

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

DRILL_COLUMNS = (
    *("tenant_id", "bs_key", "started", "host", "verdict", "end_scn"),
    *("checked", "cause", "laying_us", "opening_us", "checking_us"),
)
_TEXT_LENGTH = 4000

DRILL_VIEWS = {
    "CDB_REDOUBT_DRILLS": f"""SELECT tenant_id AS TENANT_ID, bs_key AS BS_KEY, {time("started")} AS STARTED,
  CAST((laying_us + opening_us + checking_us) / 1000000 AS DECIMAL(20,3)) AS SECONDS,
  CAST(laying_us / 1000000 AS DECIMAL(20,3)) AS LAYING_SECONDS,
  CAST(opening_us / 1000000 AS DECIMAL(20,3)) AS OPENING_SECONDS,
  CAST(checking_us / 1000000 AS DECIMAL(20,3)) AS CHECKING_SECONDS,
  verdict AS VERDICT, end_scn AS END_SCN, {time("end_scn")} AS END_TIME, checked AS CHECKED, cause AS CAUSE,
  host AS HOST FROM {DRILL_TABLE}""",
}
"""SELECT statements, by the name of the view."""


def keep_drills(cursor: Cursor, rows: Iterable[tuple[int | str, ...]]) -> None:
    """Have rows in the table, each with a value for each of DRILL_COLUMNS; texts are cut to what it takes."""
    marks = ", ".join(["%s"] * len(DRILL_COLUMNS))
    values = [tuple(value[:_TEXT_LENGTH] if isinstance(value, str) else value for value in row) for row in rows]
    cursor.executemany(f"REPLACE INTO {DRILL_TABLE} ({', '.join(DRILL_COLUMNS)}) VALUES ({marks})", values)
