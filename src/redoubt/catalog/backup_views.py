"""OceanBase 3.1's views of log backup (`CDB_OB_BACKUP_…`), with its columns, types and texts.

Rows of tenant 1 are the cluster. Times are text in the session's time zone where OceanBase has text, empty without a
time. The queries name the one incarnation because the keys of the tables begin with it.
"""

from __future__ import annotations

from redoubt.catalog.restores import RESTORE_TABLE
from redoubt.catalog.tables import CLEAN_TABLE, HISTORY_TABLE, PIECE_TABLE, SERVER_TABLE, STATUS_TABLE
from redoubt.catalog.view_terms import ratio, size_text, time, time_text


def _archivelog(table: str, status: str, where: str = "1 = 1") -> str:
    return f"""SELECT incarnation AS INCARNATION, log_archive_round AS LOG_ARCHIVE_ROUND, tenant_id AS TENANT_ID,
  {status} AS STATUS, start_piece_id AS START_PIECE_ID, backup_piece_id AS BACKUP_PIECE_ID,
  {time_text("start_scn")} AS MIN_FIRST_TIME, {time_text("checkpoint_scn")} AS MAX_NEXT_TIME,
  input_bytes AS INPUT_BYTES, output_bytes AS OUTPUT_BYTES, {ratio("output_bytes", "input_bytes")} AS COMPRESSION_RATIO,
  {size_text("input_bytes")} AS INPUT_BYTES_DISPLAY, {size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY
  FROM {table} WHERE incarnation = 1 AND {where}"""


BACKUP_VIEWS = {
    "CDB_OB_BACKUP_ARCHIVELOG": _archivelog(STATUS_TABLE, "status"),
    "CDB_OB_BACKUP_ARCHIVELOG_SUMMARY": (
        _archivelog(HISTORY_TABLE, "CAST('STOP' AS CHAR(64))")
        + " UNION ALL "
        + _archivelog(STATUS_TABLE, "status", "status <> 'STOP'")
    ),
    "CDB_OB_BACKUP_ARCHIVELOG_PROGRESS": f"""SELECT incarnation AS INCARNATION, tenant_id AS TENANT_ID,
  log_archive_round AS LOG_ARCHIVE_ROUND, backup_piece_id AS CUR_PIECE_ID, svr_ip AS SVR_IP, svr_port AS SVR_PORT,
  table_id AS TABLE_ID, partition_id AS PARTITION_ID,
  {time("start_scn")} AS MIN_FIRST_TIME, {time("checkpoint_scn")} AS MAX_NEXT_TIME,
  CAST(status AS CHAR(11)) AS STATUS
  FROM {STATUS_TABLE}, {SERVER_TABLE} WHERE tenant_id <> 1""",
    "CDB_OB_BACKUP_PIECE_FILES": f"""SELECT incarnation AS INCARNATION, tenant_id AS TENANT_ID, round_id AS ROUND_ID,
  backup_piece_id AS BACKUP_PIECE_ID, copy_id AS COPY_ID, create_date AS CREATE_DATE,
  {time_text("start_scn")} AS START_TS, {time_text("checkpoint_scn")} AS CHECKPOINT_TS,
  {time_text("max_scn")} AS MAX_TS,
  status AS STATUS, file_status AS FILE_STATUS, compatible AS COMPATIBLE, start_piece_id AS START_PIECE_ID
  FROM {PIECE_TABLE} WHERE incarnation = 1""",
    "CDB_OB_BACKUP_CLEAN_HISTORY": f"""SELECT tenant_id AS TENANT_ID, job_id AS BS_KEY, copy_id AS COPY_ID,
  {time("start_time")} AS START_TIME, {time("end_time")} AS END_TIME, incarnation AS INCARNATION, type AS TYPE,
  status AS STATUS, parameter AS PARAMETER, CAST(LEFT(error_msg, 512) AS CHAR(512)) AS ERROR_MSG, comment AS COMMENT
  FROM {CLEAN_TABLE}""",
}
"""SELECT statements, by the name of the view."""


_NOTHING = "CASE WHEN job_id < 0 THEN job_id END"
_BYTES = "CAST(CONCAT(done_bytes, ' of ', total_bytes, ' bytes') AS CHAR(64))"
_CURRENT = "CASE WHEN status IN ('POST_CHECK', 'RESTORE_SUCCESS') THEN end_scn ELSE 0 END"


def _restores(info: str, where: str) -> str:
    return f"""SELECT job_id AS JOB_ID, external_job_id AS EXTERNAL_JOB_ID, tenant_id AS TENANT_ID,
  tenant_name AS TENANT_NAME, backup_tenant_id AS BACKUP_TENANT_ID, backup_tenant_name AS BACKUP_TENANT_NAME,
  backup_cluster_id AS BACKUP_CLUSTER_ID, backup_cluster_name AS BACKUP_CLUSTER_NAME, '' AS WHITE_LIST,
  status AS STATUS, {time("start_time")} AS START_TIME, {time("end_time")} AS COMPLETION_TIME,
  {_NOTHING} AS PARTITION_COUNT, {_NOTHING} AS MACRO_BLOCK_COUNT, {_NOTHING} AS FINISH_PARTITION_COUNT,
  {_NOTHING} AS FINISH_MACRO_BLOCK_COUNT, {time("start_scn")} AS RESTORE_START_TIMESTAMP,
  {time("end_scn")} AS RESTORE_FINISH_TIMESTAMP, {time(f"({_CURRENT})")} AS RESTORE_CURRENT_TIMESTAMP,
  set_list AS BACKUP_SET_LIST, piece_list AS BACKUP_PIECE_LIST, {info} AS INFO
  FROM {RESTORE_TABLE} WHERE {where}"""


RESTORE_VIEWS = {
    "CDB_OB_RESTORE_PROGRESS": _restores(f"CASE WHEN info <> '' THEN info ELSE {_BYTES} END", "end_time = 0"),
    "CDB_OB_RESTORE_HISTORY": _restores("info", "end_time > 0"),
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
