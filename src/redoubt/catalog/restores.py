"""Restores, as `CDB_OB_RESTORE_PROGRESS` and `CDB_OB_RESTORE_HISTORY` show them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from redoubt.catalog.session import CatalogSession

if TYPE_CHECKING:
    from collections.abc import Iterable

RESTORE_TABLE: Final = "oceanbase.__redoubt_restore_job"
RESTORE_TABLES: Final = (
    f"""CREATE TABLE IF NOT EXISTS {RESTORE_TABLE} (
  job_id bigint(20) NOT NULL PRIMARY KEY,
  external_job_id bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  tenant_name varchar(128) NOT NULL,
  backup_tenant_id bigint(20) NOT NULL,
  backup_tenant_name varchar(128) NOT NULL,
  backup_cluster_id bigint(20) NOT NULL,
  backup_cluster_name varchar(128) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  source varchar(128) NOT NULL,
  until_scn bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  end_scn bigint(20) NOT NULL,
  set_list longtext NOT NULL,
  piece_list longtext NOT NULL,
  total_bytes bigint(20) NOT NULL,
  start_time bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  done_bytes bigint(20) NOT NULL,
  end_time bigint(20) NOT NULL,
  info varchar(4096) NOT NULL)""",
)
_CHANGING = ("status", "done_bytes", "end_time", "info")
_INFO_LENGTH = 4000


class RestoreStatus(StrEnum):
    """OceanBase's words for a restore's status, as far as they apply here.

    CREATE_TENANT: the tenant is recorded. RESTORE_USER_REPLICA: files and log are written into its directory.
    POST_CHECK: the engine starts, the service logs in to it. An ended restore is RESTORE_SUCCESS or RESTORE_FAIL.
    """

    CREATE_TENANT = "CREATE_TENANT"
    RESTORE_USER_REPLICA = "RESTORE_USER_REPLICA"
    POST_CHECK = "POST_CHECK"
    SUCCESS = "RESTORE_SUCCESS"
    FAIL = "RESTORE_FAIL"


@dataclass(frozen=True)
class RestoreJob:
    """A restore. SCNs and times in ns since the epoch, sizes in bytes; `end_time` is 0 while the restore runs.

    `source` is the engine whose log is laid, `until_scn` what was asked for, `start_scn` the base's snapshot, `end_scn`
    the moment at which the restore stops. The lists are paths, with commas between.
    """

    job_id: int
    external_job_id: int
    tenant_id: int
    tenant_name: str
    backup_tenant_id: int
    backup_tenant_name: str
    backup_cluster_id: int
    backup_cluster_name: str
    backup_dest: str
    source: str
    until_scn: int
    start_scn: int
    end_scn: int
    set_list: str
    piece_list: str
    total_bytes: int
    start_time: int
    status: RestoreStatus = RestoreStatus.CREATE_TENANT
    done_bytes: int = 0
    end_time: int = 0
    info: str = ""


_COLUMNS = tuple(field.name for field in fields(RestoreJob))


class RestoreJobs:
    """Reads and writes the jobs; each method is one transaction. Raises CatalogError; may be called from any thread."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def begin(self, job: RestoreJob) -> RestoreJob:
        """Record a new job; returns the job with its number."""
        with self._session.transaction() as cursor:
            cursor.execute(f"SELECT MAX(job_id) FROM {RESTORE_TABLE}")
            row = cursor.fetchone()
            begun = replace(job, job_id=(row[0] if row and row[0] else 0) + 1)
            places = ", ".join(["%s"] * len(_COLUMNS))
            cursor.execute(
                f"INSERT INTO {RESTORE_TABLE} ({', '.join(_COLUMNS)}) VALUES ({places})", _values(begun, _COLUMNS)
            )
        return begun

    def save(self, job: RestoreJob) -> None:
        """Update a job; an ended job is not changed by a late write."""
        changes = ", ".join(f"{column} = %s" for column in _CHANGING)
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {RESTORE_TABLE} SET {changes} WHERE job_id = %s AND end_time = 0",
                (*_values(job, _CHANGING), job.job_id),
            )

    def unfinished(self) -> list[RestoreJob]:
        """The unfinished jobs, in order."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM {RESTORE_TABLE} WHERE end_time = 0 ORDER BY job_id")
            rows = [dict(zip(_COLUMNS, row, strict=True)) for row in cursor.fetchall()]
        return [RestoreJob(**row | {"status": RestoreStatus(row["status"])}) for row in rows]


def _values(job: RestoreJob, columns: Iterable[str]) -> list[Any]:
    values = vars(job) | {"status": str(job.status), "info": job.info[:_INFO_LENGTH].encode(errors="replace").decode()}
    return [values[column] for column in columns]
