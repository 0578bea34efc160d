"""Jobs that delete backups, as `CDB_OB_BACKUP_CLEAN_HISTORY` shows them, and the FILE_STATUS of what they delete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.model.retention import Backup, BackupSet, FileStatus

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_INCARNATION = 1
_TEXT_LENGTH = 4000


class CleanType(StrEnum):
    """OceanBase's words for what a job deletes."""

    OBSOLETE = "DELETE OBSOLETE BACKUP"
    SET = "DELETE BACKUP SET"
    PIECE = "DELETE BACKUP PIECE"
    ROUND = "DELETE BACKUP ROUND"


class CleanStatus(StrEnum):
    """OceanBase's words for a job's status: DOING, and STOP when all is deleted."""

    DOING = "DOING"
    STOP = "STOP"
    CANCEL = "CANCEL"


@dataclass(frozen=True)
class CleanJob:
    """A job. Times in ns since the epoch, `end_time` 0 while the job runs.

    `parameter` is a set's, a piece's or a round's number, or the expire point in microseconds since the epoch.
    """

    job_id: int
    kind: CleanType
    parameter: str
    start_time: int
    status: CleanStatus = CleanStatus.DOING
    end_time: int = 0
    error: str = ""
    comment: str = ""


class Cleaning:
    """Reads and writes the jobs; each method is one transaction. Raises CatalogError; may be called from any thread."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def begin(self, kind: CleanType, parameter: str, comment: str, doomed: list[Backup], now: int) -> CleanJob:
        """Record a new job, and mark its backups DELETING; returns the job."""
        with self._session.transaction() as cursor:
            cursor.execute(f"SELECT MAX(job_id) FROM {tables.CLEAN_TABLE}")
            row = cursor.fetchone()
            last = row[0] if row and row[0] else 0
            job = CleanJob(last + 1, kind, parameter, now, comment=comment)
            tenants = {tables.SYS_TENANT_ID}.union(*(each.tenants for each in doomed))
            cursor.executemany(
                f"INSERT INTO {tables.CLEAN_TABLE} (job_id, tenant_id, incarnation, copy_id, start_time, end_time, "
                "type, status, parameter, error_msg, comment) VALUES (%s, %s, %s, %s, %s, 0, %s, %s, %s, '', %s)",
                [
                    (
                        *(job.job_id, tenant, _INCARNATION, max((each.copy_id for each in doomed), default=0)),
                        *(now, str(kind), str(job.status), parameter, as_text(comment)),
                    )
                    for tenant in sorted(tenants)
                ],
            )
            set_file_status(cursor, FileStatus.DELETING, doomed)
        return job

    def save(self, job: CleanJob) -> None:
        """Bring a job's rows up to date."""
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {tables.CLEAN_TABLE} SET status = %s, end_time = %s, error_msg = %s WHERE job_id = %s",
                (str(job.status), job.end_time, as_text(job.error), job.job_id),
            )

    def deleted(self, backup: Backup) -> None:
        """Mark a set or a piece DELETED."""
        with self._session.transaction() as cursor:
            set_file_status(cursor, FileStatus.DELETED, [backup])

    def unfinished(self) -> CleanJob | None:
        """The unfinished job, None without one."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT job_id, type, parameter, start_time, error_msg, comment FROM {tables.CLEAN_TABLE} "
                "WHERE tenant_id = %s AND status = %s ORDER BY job_id DESC LIMIT 1",
                (tables.SYS_TENANT_ID, str(CleanStatus.DOING)),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        job_id, kind, parameter, start_time, error, comment = row
        return CleanJob(job_id, CleanType(kind), parameter, start_time, error=error, comment=comment)

    def last_end(self, kind: CleanType) -> int:
        """When the last complete job of a kind ended, in ns since the epoch; 0 without one."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT MAX(end_time) FROM {tables.CLEAN_TABLE} WHERE tenant_id = %s AND type = %s AND status = %s",
                (tables.SYS_TENANT_ID, str(kind), str(CleanStatus.STOP)),
            )
            row = cursor.fetchone()
            return row[0] if row and row[0] else 0


def as_text(text: str) -> str:
    """A text for a column of 4096 characters; undecodable characters of file names are replaced."""
    return text[:_TEXT_LENGTH].encode(errors="replace").decode()


def set_file_status(cursor: Cursor, status: FileStatus, backups: Iterable[Backup]) -> None:
    """Set the FILE_STATUS of sets, pieces and copies, in all rows of each."""
    for each in backups:
        if isinstance(each, BackupSet):
            cursor.execute(
                f"UPDATE {tables.SET_TABLE} SET file_status = %s WHERE copy_id = %s AND bs_key = %s",
                (str(status), each.copy_id, each.set_id),
            )
        else:
            cursor.execute(
                f"UPDATE {tables.PIECE_TABLE} SET file_status = %s "
                "WHERE copy_id = %s AND round_id = %s AND backup_piece_id = %s",
                (str(status), each.copy_id, each.key.round, each.key.piece),
            )
