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
)


def _time_text(scn: str) -> str:
    """An SCN column as OceanBase's text of 26 characters, empty for 0."""
    return f"CAST(CASE WHEN {scn} = 0 THEN '' ELSE usec_to_time({scn} DIV 1000) END AS CHAR(26))"


def _time(scn: str) -> str:
    """An SCN column as timestamp(6), NULL for 0."""
    return f"CASE WHEN {scn} = 0 THEN NULL ELSE usec_to_time({scn} DIV 1000) END"


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
}


def statements() -> list[str]:
    """What makes the catalog, or brings its views up to date; each may be run again at every start."""
    return [*_TABLES, *(f"CREATE OR REPLACE VIEW oceanbase.{name} AS {select}" for name, select in _VIEWS.items())]


def version() -> str:
    """What tells these tables and views from those of another version."""
    return hashlib.sha256("\n".join(statements()).encode()).hexdigest()
