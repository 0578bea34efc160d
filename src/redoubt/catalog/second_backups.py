"""Jobs that copy backups to a second destination, as OceanBase's `CDB_OB_BACKUP_BACKUP…` views show them.

A copy's own rows are in the tables of pieces and data backups, under its COPY_ID.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from redoubt.catalog import tables
from redoubt.catalog.cleaning import as_text, set_file_status
from redoubt.catalog.session import CatalogSession
from redoubt.catalog.view_terms import bigint, time
from redoubt.model.retention import Backup, BackupSet, FileStatus, SetStatus

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

JOB_TABLE = "oceanbase.__redoubt_copy_job"
TASK_TABLE = "oceanbase.__redoubt_copy_task"


class CopyKind(StrEnum):
    """What a job copies, in OceanBase's words."""

    SET = "BACKUPSET"
    PIECE = "BACKUPPIECE"


class CopyStatus(StrEnum):
    """A job's status."""

    DOING = "DOING"
    FINISH = "FINISH"
    CANCEL = "CANCEL"


class CopyResult:
    """OceanBase's error numbers for the result of a job or a task."""

    GOOD = 0
    FAILED = -4000
    CANCELLED = -4072


@dataclass(frozen=True)
class CopyJob:
    """A job. Times in ns since the epoch, `end_time` 0 while the job runs.

    `number` is that of the only backup, 0 for all; `max_copies` 0 if the statement gave none.
    """

    job_id: int
    kind: CopyKind
    number: int
    max_copies: int
    destination: str
    start_time: int
    status: CopyStatus = CopyStatus.DOING
    end_time: int = 0
    result: int = CopyResult.GOOD
    comment: str = ""


class SecondBackupTable:
    """Reads and writes the jobs; each method is one transaction. Raises CatalogError; may be called from any thread."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def begin(self, job: CopyJob, copies: Iterable[Backup]) -> CopyJob:
        """Record a new job, and its copies as COPYING; returns the job with its number."""
        with self._session.transaction() as cursor:
            cursor.execute(f"SELECT MAX(job_id) FROM {JOB_TABLE}")
            row = cursor.fetchone()
            job_id = (row[0] if row and row[0] else 0) + 1
            cursor.execute(
                f"INSERT INTO {JOB_TABLE} (job_id, kind, number, max_copies, backup_dest, start_time, end_time, "
                "status, result, comment) VALUES (%s, %s, %s, %s, %s, %s, 0, %s, 0, '')",
                (job_id, str(job.kind), job.number, job.max_copies, job.destination, job.start_time, str(job.status)),
            )
            for copy in copies:
                _record_copy(cursor, copy)
                cursor.execute(
                    f"INSERT INTO {TASK_TABLE} (job_id, round_id, number, copy_id, start_time, end_time, status, "
                    "result, comment, done_bytes, total_bytes) VALUES (%s, %s, %s, %s, %s, 0, %s, 0, '', 0, 0)",
                    (job_id, *_place(copy), copy.copy_id, job.start_time, str(CopyStatus.DOING)),
                )
        return CopyJob(job_id, job.kind, job.number, job.max_copies, job.destination, job.start_time)

    def progress(self, job: CopyJob, copy: Backup, done: int, total: int) -> None:
        """Record how many bytes of a copy are done."""
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {TASK_TABLE} SET done_bytes = %s, total_bytes = %s "
                "WHERE job_id = %s AND round_id = %s AND number = %s",
                (done, total, job.job_id, *_place(copy)),
            )

    def ended(self, job: CopyJob, copy: Backup, now: int, result: int, comment: str = "") -> None:
        """Record the end of a copy: AVAILABLE, or INCOMPLETE if it failed or was cancelled."""
        status = FileStatus.INCOMPLETE if result else FileStatus.AVAILABLE
        how = CopyStatus.CANCEL if result == CopyResult.CANCELLED else CopyStatus.FINISH
        with self._session.transaction() as cursor:
            set_file_status(cursor, status, [copy])
            cursor.execute(
                f"UPDATE {TASK_TABLE} SET end_time = %s, status = %s, result = %s, comment = %s "
                "WHERE job_id = %s AND round_id = %s AND number = %s",
                (now, str(how), result, as_text(comment), job.job_id, *_place(copy)),
            )

    def first_failure(self, job: CopyJob) -> str:
        """The cause of the first copy of a job that failed, empty if none did."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT comment FROM {TASK_TABLE} WHERE job_id = %s AND result <> 0 ORDER BY round_id, number LIMIT 1",
                (job.job_id,),
            )
            row = cursor.fetchone()
            return str(row[0]) if row else ""

    def save(self, job: CopyJob) -> None:
        """Bring a job's row up to date."""
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {JOB_TABLE} SET status = %s, end_time = %s, result = %s, comment = %s WHERE job_id = %s",
                (str(job.status), job.end_time, job.result, as_text(job.comment), job.job_id),
            )

    def unfinished(self) -> CopyJob | None:
        """The unfinished job, None without one."""
        columns = "job_id, kind, number, max_copies, backup_dest, start_time, result, comment"
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {JOB_TABLE} WHERE end_time = 0 ORDER BY job_id DESC LIMIT 1")
            row = cursor.fetchone()
        if row is None:
            return None
        job_id, kind, number, max_copies, destination, start_time, result, comment = row
        return CopyJob(
            job_id, CopyKind(kind), number, max_copies, destination, start_time, result=result, comment=comment
        )


def _record_copy(cursor: Cursor, copy: Backup) -> None:
    """Write a copy's rows: those of its original, with the copy's number, place and state."""
    table, columns = tables.PIECE_TABLE, [*tables.PIECE_COLUMNS]
    where = "round_id = %s AND backup_piece_id = %s AND (tenant_id = %s OR start_scn > 0)"
    key: tuple[Any, ...] = (*_place(copy), tables.SYS_TENANT_ID)  # without tenants whose log never came so far
    if isinstance(copy, BackupSet):
        table, where, columns = tables.SET_TABLE, "bs_key = %s AND status = %s", [*tables.SET_COLUMNS]
        key = copy.set_id, str(SetStatus.SUCCESS)
    changed = {"copy_id": copy.copy_id, "backup_dest": copy.destination, "file_status": str(copy.file_status)}
    chosen = ("%s" if column in changed else column for column in columns)
    values: tuple[Any, ...] = tuple(changed[column] for column in columns if column in changed)
    cursor.execute(
        f"REPLACE INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)} FROM {table} "
        f"WHERE copy_id = 0 AND {where}",
        (*values, *key),
    )


def _place(copy: Backup) -> tuple[int, int]:
    """The round and the number of a piece, or 0 and the number of a set."""
    return (0, copy.set_id) if isinstance(copy, BackupSet) else (copy.key.round, copy.key.piece)


COPY_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {JOB_TABLE} (
  job_id bigint(20) NOT NULL PRIMARY KEY,
  kind varchar(64) NOT NULL,
  number bigint(20) NOT NULL,
  max_copies bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  start_time bigint(20) NOT NULL,
  end_time bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  result bigint(20) NOT NULL,
  comment varchar(4096) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {TASK_TABLE} (
  job_id bigint(20) NOT NULL,
  round_id bigint(20) NOT NULL,
  number bigint(20) NOT NULL,
  copy_id bigint(20) NOT NULL,
  start_time bigint(20) NOT NULL,
  end_time bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  result bigint(20) NOT NULL,
  comment varchar(4096) NOT NULL,
  done_bytes bigint(20) NOT NULL,
  total_bytes bigint(20) NOT NULL,
  PRIMARY KEY (job_id, round_id, number))""",
)


def _jobs(kind: CopyKind, number: str, where: str) -> str:
    return f"""SELECT job_id AS JOB_ID, {bigint("1")} AS TENANT_ID, {bigint("1")} AS INCARNATION,
  number AS {number}, max_copies AS MAX_BACKUP_TIMES, result AS RESULT, status AS STATUS, backup_dest AS BACKUP_DEST,
  comment AS COMMENT, CASE WHEN number = 0 THEN 'ALL' ELSE 'SINGLE' END AS TYPE
  FROM {JOB_TABLE} WHERE kind = '{kind}' AND {where}"""


def _tasks(kind: CopyKind, number: str, where: str) -> str:
    return f"""SELECT t.job_id AS JOB_ID, {bigint("1")} AS INCARNATION, {bigint("1")} AS TENANT_ID, {number},
  t.copy_id AS COPY_ID, {time("t.start_time")} AS START_TIME, {time("t.end_time")} AS END_TIME, t.status AS STATUS,
  j.backup_dest AS BACKUP_DEST, t.done_bytes AS OUTPUT_BYTES, t.total_bytes AS INPUT_BYTES, t.result AS RESULT,
  t.comment AS COMMENT FROM {TASK_TABLE} t JOIN {JOB_TABLE} j ON j.job_id = t.job_id
  WHERE j.kind = '{kind}' AND {where}"""


_PIECE = "t.round_id AS ROUND_ID, t.number AS BACKUP_PIECE_ID"
COPY_VIEWS = {
    f"CDB_OB_BACKUP_{kind}_{what}{suffix}": view(kind, number, where)
    for suffix, condition in (("", "= 0"), ("_HISTORY", "> 0"))
    for kind, what, view, number, where in (
        (CopyKind.SET, "JOB", _jobs, "BACKUP_SET_ID", f"end_time {condition}"),
        (CopyKind.PIECE, "JOB", _jobs, "BACKUP_PIECE_ID", f"end_time {condition}"),
        (CopyKind.SET, "TASK", _tasks, "t.number AS BS_KEY", f"t.end_time {condition}"),
        (CopyKind.PIECE, "TASK", _tasks, _PIECE, f"t.end_time {condition}"),
    )
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
