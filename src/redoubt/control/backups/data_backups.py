"""Data backups: their statements, recovery after a crash, and the removal of failed backups.

One backup runs at a time. A backup is recorded before it begins. So the next start of the service finds a backup that a
crash interrupted, marks the backup FAILED, and removes its files from the destination, as for every failed backup.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import structlog

from redoubt.archive.inventory import last_set_id
from redoubt.archive.layout import ClusterPath
from redoubt.catalog.session import CatalogError
from redoubt.catalog.set_table import Remains, SetTable
from redoubt.control.backups.backup_work import BackupTerms, BackupWork, RunJob
from redoubt.control.backups.clean_work import CleanWork
from redoubt.control.cluster import Cluster
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.parameters.parameter_list import BACKUP_PAUSE_LIMIT, NET_LIMIT
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.destinations.uri import UriError, open_destination
from redoubt.model import data_backups
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import EncryptionMode
from redoubt.model.retention import SetStatus
from redoubt.model.rounds import RoundStatus
from redoubt.model.seams import DestinationError
from redoubt.sql.errors import (
    SqlError,
    backup_already_stopped,
    backup_can_not_start,
    backup_dest_not_valid,
    backup_in_progress,
    not_supported,
)
from redoubt.sql.log_archive_option import Encryption
from redoubt.sql.statements import BackupDatabase

_LOOK_PAUSE = 10.0
_STOP_PATIENCE = 5.0
_CANCELLED = "cancelled by ALTER SYSTEM CANCEL BACKUP"
_FORCED = "cancelled by ALTER SYSTEM CANCEL ALL BACKUP FORCE"
_KILLED = "the service ended during the data backup"
_STOPPED = "the service was stopped during the data backup"
_log = structlog.get_logger("redoubt.control.backups.data_backups")


class DataBackups:
    """For the event loop. `load` handles a backup that the last service left; `run` removes failed backups."""

    def __init__(
        self,
        cluster: Cluster,
        archiving: Archiving,
        parameters: Parameters,
        table: SetTable,
        remover: CleanWork,
        run_job: RunJob,
    ) -> None:
        self._cluster = cluster
        self._archiving = archiving
        self._parameters = parameters
        self._table = table
        self._remover = remover
        self._run_job = run_job
        self._questions = DestinationQuestions()
        self._work: BackupWork | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_failed = asyncio.Event()
        self.last_snapshot = 0
        """The snapshot SCN of the last successful data backup, 0 without one."""

    @property
    def is_running(self) -> bool:
        """Whether a data backup is running."""
        return self._task is not None and not self._task.done()

    async def load(self) -> None:
        """Mark a data backup FAILED that was running when the last service ended. Raises CatalogError."""
        failed = await asyncio.to_thread(self._table.fail_unfinished, _KILLED, time.time_ns())
        self.last_snapshot = await asyncio.to_thread(self._table.last_snapshot)
        for number in failed:
            _log.warning("data backup failed", set=number, cause=_KILLED)
        self._has_failed.set()  # an earlier failed backup may still have files

    async def start(self, statement: BackupDatabase, password: str = "") -> None:
        """`BACKUP DATABASE`: returns when the backup is recorded. A `password` encrypts it.

        Raises SqlError, CatalogError.
        """
        async with self._archiving.statement:
            now = self._archiving.round
            if now.status is not RoundStatus.DOING:
                raise backup_can_not_start(now.status, now.shown_comment)
            if statement.is_incremental:
                raise not_supported(
                    "backup incremental database",
                    "every data backup of Redoubt is full; run ALTER SYSTEM BACKUP DATABASE",
                )
            if self.is_running:
                raise backup_in_progress(
                    "a data backup is running; wait until it ends, or run ALTER SYSTEM CANCEL BACKUP"
                )
            uri = self._parameters.backup_dest
            if not uri:
                raise backup_dest_not_valid(
                    "backup_dest is empty; run ALTER SYSTEM SET backup_dest = 'file:///…' first"
                )
            tenants = [each.tenant.tenant_id for each in self._archiving.archives if not each.is_leaving]
            if not tenants:
                raise not_supported("backup database without a user tenant")
            there = await self._questions.ask(
                uri, _last_set, uri, ClusterPath(self._cluster.name, self._cluster.cluster_id)
            )
            number = max(there, await asyncio.to_thread(self._table.last_id)) + 1
            today = int(datetime.now().astimezone().strftime("%Y%m%d"))
            encryption = _encryption(self._parameters.log_archive_option.encryption, password)
            key = SetKey(number, today)
            backup = data_backups.begin(key, now.round_id, uri, tenants, time.time_ns(), encryption)
            await asyncio.to_thread(self._table.save, backup)
            terms = BackupTerms(
                self._parameters.seconds(BACKUP_PAUSE_LIMIT), self._parameters.size(NET_LIMIT), password
            )
            _log.info("data backup started", set=number, destination=uri, tenants=tenants)
            self._work = BackupWork(self._cluster, self._archiving, self._table, self._run_job, backup, terms)
            self._task = asyncio.create_task(self._run_work(self._work))

    async def cancel(self) -> None:
        """`CANCEL BACKUP`: returns when the backup has ended and its end is recorded. Raises SqlError 9049."""
        if not await self._end(_CANCELLED):
            raise backup_already_stopped("no data backup is running")

    async def abandon(self) -> None:
        """`CANCEL ALL BACKUP FORCE`: end a running backup."""
        await self._end(_FORCED)

    async def leave(self, tenant_id: int) -> None:
        """A tenant is about to be dropped: the backup must stop using its engine."""
        if self._work is not None and self.is_running:
            await self._work.leave(tenant_id)

    async def run(self) -> None:
        """Remove the files of failed data backups, whenever there are some; runs until cancelled."""
        told: dict[Remains, str] = {}
        while True:
            await self._has_failed.wait()
            self._has_failed.clear()
            try:
                for remains in await asyncio.to_thread(self._table.remains):
                    await self._remove(remains, told)
            except CatalogError as error:
                _log.warning("cannot read failed data backups from the catalog, retrying", cause=str(error))
                self._has_failed.set()
            if self._has_failed.is_set():
                await asyncio.sleep(_LOOK_PAUSE)

    async def close(self) -> None:
        """End a running backup, and wait a few seconds for its end to be recorded."""
        if self._work is None or self._task is None:
            return
        self._work.end(_STOPPED)
        await asyncio.wait([self._task], timeout=_STOP_PATIENCE)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _end(self, cause: str) -> bool:
        """End the running data backup; False without one."""
        work, task = self._work, self._task
        if work is None or task is None or task.done():
            return False
        work.end(cause)
        await asyncio.wait([task])
        return True

    async def _remove(self, remains: Remains, told: dict[Remains, str]) -> None:
        """Remove the files of a tenant's failed part, or schedule a retry."""
        try:
            while not await self._remover.remove(remains):
                pass
            await asyncio.to_thread(self._table.removed, remains)
            _log.info("removed the files of a failed data backup", set=remains.key.set_id, tenant_id=remains.tenant_id)
        except (SqlError, DestinationError, UriError) as error:
            cause = error.message if isinstance(error, SqlError) else str(error)
            if told.get(remains) != cause:
                _log.warning(
                    "cannot remove the files of a failed data backup, retrying", set=remains.key.set_id, cause=cause
                )
                told[remains] = cause
            self._has_failed.set()

    async def _run_work(self, work: BackupWork) -> None:
        try:
            await work.run()
            if work.now.status is SetStatus.SUCCESS:
                self.last_snapshot = work.now.whole(0).snapshot_scn
        finally:
            self._has_failed.set()


def _encryption(of_log: Encryption, password: str) -> EncryptionMode:
    """How a new data backup is encrypted: as its session wants, or else as the log is."""
    if password:
        return EncryptionMode.PASSWORD
    return EncryptionMode.NONE if of_log is Encryption.NONE else EncryptionMode.TRANSPARENT


def _last_set(uri: str, path: ClusterPath) -> int:
    """The highest number of a data backup in a destination, 0 without one. Raises SqlError."""
    try:
        return last_set_id(open_destination(uri), path)
    except (DestinationError, UriError) as error:
        raise backup_dest_not_valid(str(error)) from error
