"""OceanBase 3.1's views of restores, with its columns.

What counts partitions and macro blocks is NULL, as there are none here: INFO has the bytes.
"""

from __future__ import annotations

from redoubt.catalog.restores import RESTORE_TABLE
from redoubt.catalog.view_terms import time

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
