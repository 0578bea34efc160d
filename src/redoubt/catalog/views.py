"""Views of the catalog: OceanBase 3.1's (`CDB_OB_BACKUP_…`), with its columns, types and texts, and ours.

Times of OceanBase's views are text in the session's time zone, empty while there is none.
"""

from __future__ import annotations

from redoubt.catalog.tables import (
    EVENT_TABLE,
    HISTORY_TABLE,
    HOLE_TABLE,
    MAX_SCN,
    PIECE_TABLE,
    SERVER_TABLE,
    STATE_TABLE,
    STATUS_TABLE,
)
from redoubt.catalog.tenant_views import TENANT_VIEWS


def _time_text(scn: str) -> str:
    """An SCN column as OceanBase's text of 26 characters, empty for 0."""
    return f"CAST(CASE WHEN {scn} = 0 THEN '' ELSE usec_to_time({scn} DIV 1000) END AS CHAR(26))"


def _time(scn: str) -> str:
    """An SCN column as timestamp(6), NULL for 0."""
    return f"CASE WHEN {scn} = 0 THEN NULL ELSE usec_to_time({scn} DIV 1000) END"


_NOW = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', utc_timestamp(6))"
# In microseconds since the epoch. The engine keeps a view's now(6) as now(), which is up to a second ago.


def _size_text(size: str) -> str:
    """A size in bytes as OceanBase shows it: at least MB, up to PB, by 1024, two decimals."""
    units = ("MB", "GB", "TB", "PB")
    whens = "".join(
        f" WHEN {size} < {1024 ** (power + 3)} THEN CONCAT(ROUND({size} / {1024 ** (power + 2)}, 2), '{unit}')"
        for power, unit in enumerate(units[:-1])
    )
    return f"CAST(CASE{whens} ELSE CONCAT(ROUND({size} / {1024**5}, 2), 'PB') END AS CHAR(27))"


def _archivelog(table: str, status: str, where: str = "") -> str:
    return f"""SELECT incarnation AS INCARNATION, log_archive_round AS LOG_ARCHIVE_ROUND, tenant_id AS TENANT_ID,
  {status} AS STATUS, start_piece_id AS START_PIECE_ID, backup_piece_id AS BACKUP_PIECE_ID,
  {_time_text("start_scn")} AS MIN_FIRST_TIME, {_time_text("checkpoint_scn")} AS MAX_NEXT_TIME,
  input_bytes AS INPUT_BYTES, output_bytes AS OUTPUT_BYTES,
  CAST(ROUND(output_bytes / input_bytes, 2) AS DECIMAL(23,2)) AS COMPRESSION_RATIO,
  {_size_text("input_bytes")} AS INPUT_BYTES_DISPLAY, {_size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY
  FROM {table} {where}"""


VIEWS = {
    **TENANT_VIEWS,
    "CDB_OB_BACKUP_ARCHIVELOG": _archivelog(STATUS_TABLE, "status"),
    "CDB_OB_BACKUP_ARCHIVELOG_SUMMARY": (
        _archivelog(HISTORY_TABLE, "CAST('STOP' AS CHAR(64))")
        + " UNION ALL "
        + _archivelog(STATUS_TABLE, "status", "WHERE status <> 'STOP'")
    ),
    "CDB_OB_BACKUP_ARCHIVELOG_PROGRESS": f"""SELECT incarnation AS INCARNATION, tenant_id AS TENANT_ID,
  log_archive_round AS LOG_ARCHIVE_ROUND, backup_piece_id AS CUR_PIECE_ID, svr_ip AS SVR_IP, svr_port AS SVR_PORT,
  table_id AS TABLE_ID, partition_id AS PARTITION_ID,
  {_time("start_scn")} AS MIN_FIRST_TIME, {_time("checkpoint_scn")} AS MAX_NEXT_TIME,
  CAST(status AS CHAR(11)) AS STATUS
  FROM {STATUS_TABLE}, {SERVER_TABLE} WHERE tenant_id <> 1""",
    "CDB_OB_BACKUP_PIECE_FILES": f"""SELECT incarnation AS INCARNATION, tenant_id AS TENANT_ID, round_id AS ROUND_ID,
  backup_piece_id AS BACKUP_PIECE_ID, copy_id AS COPY_ID, create_date AS CREATE_DATE,
  {_time_text("start_scn")} AS START_TS, {_time_text("checkpoint_scn")} AS CHECKPOINT_TS,
  CAST(CASE WHEN max_scn = 0 THEN '' WHEN max_scn = {MAX_SCN} THEN 'MAX'
    ELSE usec_to_time(max_scn DIV 1000) END AS CHAR(26)) AS MAX_TS,
  status AS STATUS, file_status AS FILE_STATUS, compatible AS COMPATIBLE, start_piece_id AS START_PIECE_ID
  FROM {PIECE_TABLE}""",
    "CDB_REDOUBT_ARCHIVELOG_STATUS": f"""SELECT tenant_id AS TENANT_ID, tenant_name AS TENANT_NAME,
  log_archive_round AS LOG_ARCHIVE_ROUND, status AS STATUS, mode AS MODE, sync_commit AS SYNC_COMMIT, gate AS GATE,
  health AS HEALTH, {_time("since")} AS SINCE, cause AS CAUSE, backlog_bytes AS BACKLOG_BYTES,
  spool_limit AS SPOOL_LIMIT, {_time("checkpoint_scn")} AS ARCHIVED_UP_TO,
  CAST(CASE WHEN waiting_since = 0 THEN 0 ELSE
    GREATEST(0, {_NOW} - waiting_since DIV 1000) END / 1000000 AS DECIMAL(20,3))
    AS LAG_SECONDS,
  CAST(lag_target_us / 1000000 AS DECIMAL(20,3)) AS LAG_TARGET_SECONDS
  FROM {STATE_TABLE}""",
    "CDB_REDOUBT_ARCHIVELOG_EVENTS": f"""SELECT event_id AS EVENT_ID, {_time("happened_at")} AS HAPPENED_AT,
  tenant_id AS TENANT_ID, log_archive_round AS LOG_ARCHIVE_ROUND, what AS WHAT, state_before AS STATE_BEFORE,
  state_after AS STATE_AFTER, cause AS CAUSE FROM {EVENT_TABLE}""",
    "CDB_REDOUBT_ARCHIVELOG_HOLES": f"""SELECT tenant_id AS TENANT_ID, `after` AS AFTER_ROUND,
  CASE WHEN closed_at = 0 THEN 'OPEN' ELSE 'CLOSED' END AS STATUS,
  start_lsn AS START_LSN, {_time("start_scn")} AS START_TIME, start_scn AS START_SCN,
  CASE WHEN closed_at = 0 THEN NULL ELSE end_lsn END AS END_LSN, {_time("end_scn")} AS END_TIME,
  CASE WHEN closed_at = 0 THEN NULL ELSE end_scn END AS END_SCN,
  {_time("opened_at")} AS OPENED_AT, {_time("closed_at")} AS CLOSED_AT, cause AS CAUSE FROM {HOLE_TABLE}""",
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
