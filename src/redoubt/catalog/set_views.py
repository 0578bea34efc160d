"""OceanBase 3.1's views of data backups, with its columns, types and texts, and Redoubt's own.

Rows of tenant 1 are the cluster. Times are timestamp(6) in the session's time zone, NULL without a time. A data backup
copies files: counts of macro blocks are NULL, and a partition is a tenant's log stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from redoubt.catalog.own_views import WINDOWS
from redoubt.catalog.tables import DRILL_TABLE, SET_TABLE, STATUS_TABLE
from redoubt.catalog.view_terms import NOW, rate_text, ratio, size_text, time, time_text

if TYPE_CHECKING:
    from pymysql.cursors import Cursor


_SECONDS = "((completion_time - start_time) / 1000000000)"
_ELAPSED = f"CAST(CASE WHEN completion_time > 0 THEN ROUND({_SECONDS}, 0) END AS DECIMAL(22,0))"
_TAKEN = f"TIMEDIFF({time('completion_time')}, {time('start_time')})"
_WORD = "CAST(CASE status WHEN 'DOING' THEN 'RUNNING' WHEN 'SUCCESS' THEN 'COMPLETED' ELSE 'FAILED' END AS CHAR(64))"


def _rate(size: str) -> str:
    return f"(CASE WHEN completion_time > start_time THEN {size} / {_SECONDS} END)"


_OUTPUT_RATE, _INPUT_RATE = (f"CAST({_rate(size)} AS DECIMAL(28,4))" for size in ("output_bytes", "input_bytes"))
_SET = """incarnation AS INCARNATION, tenant_id AS TENANT_ID, bs_key AS BS_KEY, copy_id AS COPY_ID,
  backup_type AS BACKUP_TYPE, encryption_mode AS ENCRYPTION_MODE"""
_TIMES = f"""{time("start_time")} AS START_TIME, {time("completion_time")} AS COMPLETION_TIME,
  {_ELAPSED} AS ELAPSED_SECONDES"""
_OUTPUT = f"""'YES' AS COMPRESSED, output_bytes AS OUTPUT_BYTES, {_OUTPUT_RATE} AS OUTPUT_RATE_BYTES,
  {ratio("output_bytes", "input_bytes")} AS COMPRESSION_RATIO, {size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY,
  {rate_text(_rate("output_bytes"))} AS OUTPUT_RATE_BYTES_DISPLAY, {_TAKEN} AS TIME_TAKEN_DISPLAY"""

_KEEP = f"""CAST(CASE WHEN keep_until DIV 1000 > {NOW} THEN 'YES' ELSE 'NO' END AS CHAR(3)) AS KEEP,
  {time_text("keep_until")} AS KEEP_UNTIL"""

SET_VIEWS = {
    "CDB_OB_BACKUP_SET_FILES": f"""SELECT {_SET}, status AS STATUS, file_status AS FILE_STATUS, {_TIMES},
  {_KEEP}, {_OUTPUT} FROM {SET_TABLE}""",
    "CDB_OB_BACKUP_SET_DETAILS": f"""SELECT {_SET}, {_TIMES}, {_KEEP}, 'FILE' AS DEVICE_TYPE,
  {_OUTPUT}, {_WORD} AS STATUS FROM {SET_TABLE}
  WHERE status <> 'DOING' AND (copy_id = 0 OR file_status = 'AVAILABLE')""",
    "CDB_OB_BACKUP_PROGRESS": f"""SELECT incarnation AS INCARNATION, bs_key AS BS_KEY, backup_type AS BACKUP_TYPE,
  tenant_id AS TENANT_ID,
  CAST(CASE WHEN tenant_id = 1 THEN (SELECT COUNT(*) FROM {SET_TABLE} p
    WHERE p.bs_key = s.bs_key AND p.copy_id = 0 AND p.tenant_id <> 1) ELSE 1 END AS SIGNED) AS PARTITION_COUNT,
  NULLIF(bs_key, bs_key) AS MACRO_BLOCK_COUNT,
  CAST(CASE WHEN tenant_id = 1 THEN (SELECT COUNT(*) FROM {SET_TABLE} p
    WHERE p.bs_key = s.bs_key AND p.copy_id = 0 AND p.tenant_id <> 1 AND p.snapshot_scn > 0)
    ELSE CASE WHEN snapshot_scn > 0 THEN 1 ELSE 0 END END AS SIGNED) AS FINISH_PARTITION_COUNT,
  NULLIF(bs_key, bs_key) AS FINISH_MACRO_BLOCK_COUNT, input_bytes AS INPUT_BYTES, output_bytes AS OUTPUT_BYTES,
  {time("start_time")} AS START_TIME, {time("completion_time")} AS COMPLETION_TIME, {_WORD} AS STATUS
  FROM {SET_TABLE} s WHERE s.copy_id = 0 AND EXISTS (SELECT 1 FROM {SET_TABLE} w
    WHERE w.bs_key = s.bs_key AND w.tenant_id = 1 AND w.status = 'DOING')""",
    "CDB_OB_BACKUP_JOB_DETAILS": f"""SELECT incarnation AS INCARNATION, tenant_id AS TENANT_ID, bs_key AS BS_KEY,
  backup_type AS BACKUP_TYPE, encryption_mode AS ENCRYPTION_MODE, {time("start_time")} AS START_TIME,
  {time("completion_time")} AS END_TIME, input_bytes AS INPUT_BYTES, output_bytes AS OUTPUT_BYTES,
  'FILE' AS OUTPUT_DEVICE_TYPE, {_ELAPSED} AS ELAPSED_SECONDES,
  {ratio("output_bytes", "input_bytes")} AS COMPRESSION_RATIO, {_INPUT_RATE} AS INPUT_BYTES_PER_SEC,
  {_OUTPUT_RATE} AS OUTPUT_BYTES_PER_SEC, {_WORD} AS STATUS, {size_text("input_bytes")} AS INPUT_BYTES_DISPLAY,
  {size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY,
  {rate_text(_rate("input_bytes"))} AS INPUT_BYTES_PER_SEC_DISPLAY,
  {rate_text(_rate("output_bytes"))} AS OUTPUT_BYTES_PER_SEC_DISPLAY, {_TAKEN} AS TIME_TAKEN_DISPLAY,
  start_replay_scn DIV 1000 AS START_REPLAY_LOG_TS, create_date AS DATE FROM {SET_TABLE} WHERE copy_id = 0""",
    "CDB_REDOUBT_BACKUP_SETS": f"""SELECT tenant_id AS TENANT_ID, bs_key AS BS_KEY, copy_id AS COPY_ID,
  status AS STATUS, file_status AS FILE_STATUS, {time("start_time")} AS START_TIME,
  {time("completion_time")} AS COMPLETION_TIME,
  log_archive_round AS ROUND_ID, CAST(pause_us / 1000 AS DECIMAL(20,3)) AS PAUSE_MS, passes AS PASSES,
  method AS METHOD, start_lsn AS START_LSN, {time("start_replay_scn")} AS START_REPLAY_TIME,
  start_replay_scn AS START_REPLAY_SCN, snapshot_lsn AS SNAPSHOT_LSN, {time("snapshot_scn")} AS SNAPSHOT_TIME,
  snapshot_scn AS SNAPSHOT_SCN, input_bytes AS INPUT_BYTES, total_bytes AS TOTAL_BYTES, output_bytes AS OUTPUT_BYTES,
  comment AS CAUSE, backup_dest AS PATH FROM {SET_TABLE}""",
    "CDB_REDOUBT_RESTORABLE_WINDOW": f"""SELECT s.tenant_id AS TENANT_ID, bs_key AS BS_KEY, w.round_id AS ROUND_ID,
  {time("snapshot_scn")} AS START_TIME, snapshot_scn AS START_SCN, {time("w.end_scn")} AS END_TIME,
  w.end_scn AS END_SCN, CASE WHEN w.goes_on = 1 AND EXISTS (SELECT 1 FROM {STATUS_TABLE} r
    WHERE r.tenant_id = s.tenant_id AND r.log_archive_round = w.round_id AND r.status NOT IN ('INTERRUPTED', 'STOP'))
    THEN 'YES' ELSE 'NO' END AS GROWS, s.backup_dest AS PATH
  FROM {SET_TABLE} s JOIN ({WINDOWS}) w
    ON w.tenant_id = s.tenant_id AND w.round_id = s.log_archive_round AND w.backup_dest = s.backup_dest
  WHERE s.status = 'SUCCESS' AND s.file_status = 'AVAILABLE' AND w.end_scn >= snapshot_scn
    AND (w.first_piece = w.start_piece OR w.start_scn <= s.start_replay_scn)""",
}
"""SELECT statements, by the name of the view."""


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
    """Store rows of DRILL_COLUMNS; texts are cut to the columns' length."""
    marks = ", ".join(["%s"] * len(DRILL_COLUMNS))
    values = [tuple(value[:_TEXT_LENGTH] if isinstance(value, str) else value for value in row) for row in rows]
    cursor.executemany(f"REPLACE INTO {DRILL_TABLE} ({', '.join(DRILL_COLUMNS)}) VALUES ({marks})", values)
