"""Tables and views of the catalog, as SQL for the sys engine's `oceanbase` schema.

Tables bear OceanBase's inner-table names where it has one; what is ours alone begins with `__redoubt_`. The views give
the columns, types and texts of OceanBase 3.1 (its `CDB_OB_BACKUP_ARCHIVELOG…` family): times are text in the session's
time zone, empty while there is none. Tables keep SCNs, in ns since the epoch.
"""

from __future__ import annotations

import hashlib
from typing import Final

STATUS_TABLE: Final = "oceanbase.__all_backup_log_archive_status_v2"
HISTORY_TABLE: Final = "oceanbase.__all_backup_log_archive_status_history_v2"
PIECE_TABLE: Final = "oceanbase.__all_backup_piece_files"
PARAMETER_TABLE: Final = "oceanbase.__redoubt_parameter"
SERVER_TABLE: Final = "oceanbase.__redoubt_server"
STATE_TABLE: Final = "oceanbase.__redoubt_archivelog_state"
EVENT_TABLE: Final = "oceanbase.__redoubt_archivelog_event"
HOLE_TABLE: Final = "oceanbase.__redoubt_archivelog_hole"

MAX_SCN: Final = 2**63 - 1
"""An SCN that means "no end yet"; views show the text MAX."""

STATUS_COLUMNS: Final = (
    "tenant_id",
    "incarnation",
    "log_archive_round",
    "status",
    "start_piece_id",
    "backup_piece_id",
    "start_scn",
    "checkpoint_scn",
    "input_bytes",
    "output_bytes",
    "compatible",
    "create_date",
    "backup_dest",
    "comment",
)
PIECE_COLUMNS: Final = (
    "incarnation",
    "tenant_id",
    "round_id",
    "backup_piece_id",
    "copy_id",
    "create_date",
    "start_scn",
    "checkpoint_scn",
    "max_scn",
    "status",
    "file_status",
    "compatible",
    "start_piece_id",
    "backup_dest",
)

_STATUS_COLUMN_TYPES = """
  tenant_id bigint(20) NOT NULL,
  incarnation bigint(20) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  start_piece_id bigint(20) NOT NULL,
  backup_piece_id bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  input_bytes bigint(20) NOT NULL,
  output_bytes bigint(20) NOT NULL,
  compatible bigint(20) NOT NULL,
  create_date bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  comment varchar(4096) NOT NULL,
  table_id bigint(20) NOT NULL DEFAULT 1,
  partition_id bigint(20) NOT NULL DEFAULT 0
"""
# A tenant of this engine has one log stream, number 1: that is what OceanBase's table and partition ids stand for here.

_TABLES = (
    f"CREATE TABLE IF NOT EXISTS {STATUS_TABLE} ({_STATUS_COLUMN_TYPES}, PRIMARY KEY (tenant_id))",
    f"""CREATE TABLE IF NOT EXISTS {HISTORY_TABLE} ({_STATUS_COLUMN_TYPES},
  PRIMARY KEY (incarnation, log_archive_round, tenant_id))""",
    f"""CREATE TABLE IF NOT EXISTS {PIECE_TABLE} (
  incarnation bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  round_id bigint(20) NOT NULL,
  backup_piece_id bigint(20) NOT NULL,
  copy_id bigint(20) NOT NULL,
  create_date bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  max_scn bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  file_status varchar(64) NOT NULL,
  compatible bigint(20) NOT NULL,
  start_piece_id bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  PRIMARY KEY (incarnation, tenant_id, round_id, backup_piece_id, copy_id))""",
    f"CREATE TABLE IF NOT EXISTS {PARAMETER_TABLE} (name varchar(128) NOT NULL PRIMARY KEY, value longtext NOT NULL)",
    f"""CREATE TABLE IF NOT EXISTS {SERVER_TABLE} (
  svr_ip varchar(32) NOT NULL PRIMARY KEY,
  svr_port bigint(20) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {STATE_TABLE} (
  tenant_id bigint(20) NOT NULL PRIMARY KEY,
  tenant_name varchar(128) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  mode varchar(64) NOT NULL,
  sync_commit varchar(64) NOT NULL,
  gate varchar(64) NOT NULL,
  health varchar(64) NOT NULL,
  since bigint(20) NOT NULL,
  cause varchar(4096) NOT NULL,
  backlog_bytes bigint(20) NOT NULL,
  spool_limit bigint(20) NOT NULL,
  waiting_since bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  lag_target_us bigint(20) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {EVENT_TABLE} (
  event_id bigint(20) NOT NULL AUTO_INCREMENT PRIMARY KEY,
  happened_at bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  what varchar(64) NOT NULL,
  state_before varchar(64) NOT NULL,
  state_after varchar(64) NOT NULL,
  cause varchar(4096) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {HOLE_TABLE} (
  tenant_id bigint(20) NOT NULL,
  `after` bigint(20) NOT NULL,
  start_lsn bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  cause varchar(4096) NOT NULL,
  opened_at bigint(20) NOT NULL,
  end_lsn bigint(20) NOT NULL,
  end_scn bigint(20) NOT NULL,
  closed_at bigint(20) NOT NULL,
  PRIMARY KEY (tenant_id, `after`))""",
)


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


_VIEWS = {
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


def statements() -> list[str]:
    """What makes the catalog, or brings its views up to date; each may be run again at every start."""
    return [*_TABLES, *(f"CREATE OR REPLACE VIEW oceanbase.{name} AS {select}" for name, select in _VIEWS.items())]


def version() -> str:
    """What tells these tables and views from those of another version."""
    return hashlib.sha256("\n".join(statements()).encode()).hexdigest()
