"""The work of a job that deletes backups; retries until the job is done."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from redoubt.archive.deletion import Deletion, SetDeletion, delete_some
from redoubt.archive.layout import ClusterInfo, ClusterPath, PiecePath
from redoubt.archive.set_layout import SetPath, folder_at, set_path
from redoubt.catalog.cleaning import Cleaning, CleanJob, CleanStatus
from redoubt.catalog.session import CatalogError
from redoubt.catalog.set_table import Remains
from redoubt.control.cluster import Cluster
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.destinations.uri import UriError, inside, open_destination
from redoubt.model.retention import Backup, BackupSet
from redoubt.model.seams import DestinationError
from redoubt.sql.errors import SqlError

T = TypeVar("T")

_STEP = 5.0
"""Seconds of deletion per request: less than the time limit of a request to the destination."""
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_log = structlog.get_logger("redoubt.control.backups.clean_work")


class CleanWork:
    """For the event loop. Blocking calls run in threads, so a destination that hangs delays nothing else."""

    def __init__(self, cluster: Cluster, cleaning: Cleaning) -> None:
        self._ours = ClusterInfo(cluster.name, cluster.cluster_id, cluster.identity)
        self._path = ClusterPath(cluster.name, cluster.cluster_id)
        self._cleaning = cleaning
        self._questions = DestinationQuestions()
        self._told = ""
        self.needed: Callable[[], frozenset[str]] = frozenset
        """The paths of backups that a restore needs. After a restart the restore takes its locks a moment later."""

    async def run(self, job: CleanJob, doomed: list[Backup]) -> None:
        """Delete sets and pieces in the given order, then record the job as done.

        A backup that cannot be deleted holds up no other: it is tried again after them, until nothing is left.
        """
        self._told, pause, left = job.error, _PAUSE, doomed
        while left := await self._pass(job, left):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        done = replace(job, status=CleanStatus.STOP, end_time=time.time_ns(), error="")
        await self._insist(job, self._cleaning.save, done)
        _log.info("deletion done", job=job.job_id)

    async def _pass(self, job: CleanJob, doomed: list[Backup]) -> list[Backup]:
        """Try to delete each backup; returns those of which something is left. The job's row names the first cause."""
        left, causes = list[Backup](), list[str]()
        for backup in doomed:
            if cause := await self._delete_backup(job, backup):
                left.append(backup)
                causes.append(cause)
        if causes:
            await self._tell(job, causes[0])
        return left

    async def _delete_backup(self, job: CleanJob, backup: Backup) -> str:
        """Delete what can be deleted of a backup; returns why something is left, empty if nothing is."""
        cause = ""
        for tenant_id in backup.tenants:
            try:
                while not await self._step(job, backup, tenant_id):
                    pass
            except (SqlError, DestinationError, UriError) as error:
                cause = cause or (error.message if isinstance(error, SqlError) else str(error))
        if not cause:
            await self._insist(job, self._cleaning.deleted, backup)
        return cause

    async def _insist(self, job: CleanJob, write: Callable[[T], None], what: T) -> None:
        """Write to the catalog, however often it takes."""
        pause = _PAUSE
        while True:
            try:
                await asyncio.to_thread(write, what)
            except CatalogError as error:
                await self._tell(job, str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    async def remove(self, remains: Remains) -> bool:
        """Remove some files of a failed data backup; returns whether none are left.

        Raises SqlError, DestinationError, UriError.
        """
        record = SetDeletion(
            tenant_id=remains.tenant_id,
            set_id=remains.key.set_id,
            job=0,
            statement=f"the data backup failed: {remains.cause}",
            host=platform.node(),
            began_at=remains.began_at,
        )
        folder = set_path(self._path, remains.tenant_id, remains.key)
        return await self._questions.ask(remains.destination, _delete, remains.destination, self._ours, folder, record)

    async def _step(self, job: CleanJob, backup: Backup, tenant_id: int) -> bool:
        """Delete some of a tenant's files of a set or a piece; returns whether none are left."""
        folder, record = self._target(job, backup, tenant_id)
        if inside(backup.destination, folder.folder) in self.needed():
            raise DestinationError(f"{folder.folder} is needed by a restore; wait until it has ended")
        return await self._questions.ask(backup.destination, _delete, backup.destination, self._ours, folder, record)

    def folder_of(self, backup: Backup, tenant_id: int) -> str:
        """The name of a tenant's folder in a set or a piece."""
        return folder_at(self._path, tenant_id, backup.key).folder

    def _target(
        self, job: CleanJob, backup: Backup, tenant_id: int
    ) -> tuple[SetPath, SetDeletion] | tuple[PiecePath, Deletion]:
        """A tenant's folder in a set or a piece, and the record of its deletion."""
        host = platform.node()
        if isinstance(backup, BackupSet):
            folder = set_path(self._path, tenant_id, backup.key)
            return folder, SetDeletion(tenant_id, backup.set_id, job.job_id, job.comment, host, job.start_time)
        return self._path.piece(tenant_id, backup.key), Deletion(
            tenant_id=tenant_id,
            round=backup.key.round,
            piece=backup.key.piece,
            job=job.job_id,
            statement=job.comment,
            host=host,
            began_at=job.start_time,
        )

    async def _tell(self, job: CleanJob, cause: str) -> None:
        """Report the cause of a delay once."""
        if cause == self._told:
            return
        _log.warning("deletion is delayed, retrying", job=job.job_id, cause=cause)
        try:
            await asyncio.to_thread(self._cleaning.save, replace(job, error=cause))
            self._told = cause
        except CatalogError as error:
            _log.warning("cannot write the cause to the catalog", cause=str(error))


def _delete(uri: str, ours: ClusterInfo, folder: PiecePath | SetPath, record: Deletion | SetDeletion) -> bool:
    until = time.monotonic() + _STEP
    return delete_some(open_destination(uri), ours, folder, record, lambda: time.monotonic() > until)
