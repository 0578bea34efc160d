"""The rows of data backups, during the backup and afterwards. `Cleaning` records deletions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redoubt.catalog import tables
from redoubt.catalog.cleaning import as_text
from redoubt.catalog.session import CatalogSession
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import FILES, DataBackup, TenantBackup
from redoubt.model.retention import FileStatus, SetStatus

_INCARNATION = 1


@dataclass(frozen=True)
class Remains:
    """The files of a tenant's part of a failed data backup in a destination; `began_at` in ns since the epoch."""

    key: SetKey
    tenant_id: int
    destination: str
    began_at: int
    cause: str


class SetTable:
    """Methods block, may be called from any thread, and are each one transaction. They raise CatalogError."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def last_id(self) -> int:
        """The highest number of any data backup, 0 without one."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT MAX(bs_key) FROM {tables.SET_TABLE}")
            row = cursor.fetchone()
            return row[0] if row and row[0] else 0

    def last_snapshot(self) -> int:
        """The snapshot SCN of the last successful, available data backup, in ns since the epoch; 0 without one."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT MAX(snapshot_scn) FROM {tables.SET_TABLE} WHERE tenant_id = %s AND status = %s "
                "AND file_status = %s AND copy_id = 0",
                (tables.SYS_TENANT_ID, str(SetStatus.SUCCESS), str(FileStatus.AVAILABLE)),
            )
            row = cursor.fetchone()
            return row[0] if row and row[0] else 0

    def save(self, backup: DataBackup) -> None:
        """Write a data backup's rows: the cluster's, and one for each tenant."""
        parts = [backup.whole(tables.SYS_TENANT_ID), *backup.tenants.values()]
        rows = [_row(backup, part) for part in parts]
        places = ", ".join(["%s"] * len(rows[0]))
        with self._session.transaction() as cursor:
            cursor.executemany(
                f"REPLACE INTO {tables.SET_TABLE} ({', '.join(rows[0])}) VALUES ({places})",
                [tuple(row.values()) for row in rows],
            )

    def keep(self, set_id: int, until: int) -> None:
        """Keep a data backup until `until`, in ns since the epoch; 0 ends that."""
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {tables.SET_TABLE} SET keep_until = %s WHERE bs_key = %s AND copy_id = 0", (until, set_id)
            )

    def fail_unfinished(self, cause: str, now: int) -> list[int]:
        """Mark all backups in DOING as FAILED, with those of their parts that are DOING; returns their numbers."""
        with self._session.transaction() as cursor:
            cursor.execute(
                f"SELECT bs_key FROM {tables.SET_TABLE} WHERE tenant_id = %s AND status = %s ORDER BY bs_key",
                (tables.SYS_TENANT_ID, str(SetStatus.DOING)),
            )
            numbers = [row[0] for row in cursor.fetchall()]
            doing, failed, broken = str(SetStatus.DOING), str(SetStatus.FAILED), str(FileStatus.BROKEN)
            cursor.executemany(
                f"UPDATE {tables.SET_TABLE} SET status = %s, file_status = %s, completion_time = %s, comment = %s "
                "WHERE bs_key = %s AND copy_id = 0 AND status = %s",
                [(failed, broken, now, cause, number, doing) for number in numbers],
            )
            for number in numbers:
                cursor.execute(
                    f"SELECT COUNT(*) FROM {tables.SET_TABLE} WHERE bs_key = %s AND copy_id = 0 AND status = %s",
                    (number, str(SetStatus.SUCCESS)),
                )
                row = cursor.fetchone()
                if row is not None and row[0]:
                    cursor.execute(
                        f"UPDATE {tables.SET_TABLE} SET file_status = %s WHERE bs_key = %s AND copy_id = 0 "
                        "AND tenant_id = %s",
                        (str(FileStatus.AVAILABLE), number, tables.SYS_TENANT_ID),
                    )
        return numbers

    def remains(self) -> list[Remains]:
        """The files to remove: of FAILED parts that are not deleted yet."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT bs_key, create_date, tenant_id, backup_dest, start_time, comment FROM {tables.SET_TABLE} "
                "WHERE copy_id = 0 AND tenant_id <> %s AND status = %s AND file_status = %s ORDER BY bs_key, tenant_id",
                (tables.SYS_TENANT_ID, str(SetStatus.FAILED), str(FileStatus.BROKEN)),
            )
            return [Remains(SetKey(number, date), *row) for number, date, *row in cursor.fetchall()]

    def removed(self, remains: Remains) -> None:
        """Mark a part's files DELETED, and the whole backup's if the part was the last."""
        gone, broken = str(FileStatus.DELETED), str(FileStatus.BROKEN)
        with self._session.transaction() as cursor:
            mark = (
                f"UPDATE {tables.SET_TABLE} SET file_status = %s WHERE bs_key = %s AND copy_id = 0 AND tenant_id = %s"
            )
            cursor.execute(mark, (gone, remains.key.set_id, remains.tenant_id))
            cursor.execute(
                f"SELECT COUNT(*) FROM {tables.SET_TABLE} WHERE bs_key = %s AND tenant_id <> %s AND file_status <> %s",
                (remains.key.set_id, tables.SYS_TENANT_ID, gone),
            )
            row = cursor.fetchone()
            if row is not None and row[0] == 0:
                cursor.execute(f"{mark} AND file_status = %s", (gone, remains.key.set_id, tables.SYS_TENANT_ID, broken))


def _row(backup: DataBackup, part: TenantBackup) -> dict[str, Any]:
    return {
        "incarnation": _INCARNATION,
        "tenant_id": part.tenant_id,
        "bs_key": backup.key.set_id,
        "copy_id": 0,
        "backup_type": "D",
        "encryption_mode": str(backup.encryption),
        "status": str(part.status),
        "file_status": str(backup.file_status if part.tenant_id == tables.SYS_TENANT_ID else FILES[part.status]),
        "start_time": part.start_time,
        "completion_time": part.completion_time,
        "snapshot_scn": part.snapshot_scn,
        "start_replay_scn": part.start_scn,
        "input_bytes": part.input_bytes,
        "output_bytes": part.output_bytes,
        "log_archive_round": backup.round_id,
        "backup_dest": backup.destination,
        "comment": as_text(part.comment),
        "create_date": backup.key.create_date,
        "total_bytes": part.total_bytes,
        "start_lsn": part.start_lsn,
        "snapshot_lsn": part.snapshot_lsn,
        "pause_us": part.pause_us,
        "passes": part.passes,
        "method": part.method,
    }
