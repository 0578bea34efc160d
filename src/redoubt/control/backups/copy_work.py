"""The work of a job that copies backups to a second destination; retries until each copy is made, or cannot be made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import set_path
from redoubt.catalog.second_backups import CopyJob, CopyResult, CopyStatus, SecondBackupTable
from redoubt.catalog.session import CatalogError
from redoubt.control.backups.backup_work import RunJob
from redoubt.control.cluster import Cluster
from redoubt.control.parameters.parameter_list import NET_LIMIT
from redoubt.control.parameters.parameters import Parameters
from redoubt.messages.jobs import CopyFolder, Failed, FolderCopied
from redoubt.model.retention import Backup, BackupSet

_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_TELL_EVERY = 2.0
_log = structlog.get_logger("redoubt.control.backups.copy_work")


class _NotCopiedError(Exception):
    """A copy cannot be made; the text is the cause."""


class CopyWork:
    """One job, for the event loop. A child process copies each folder."""

    def __init__(
        self, cluster: Cluster, parameters: Parameters, table: SecondBackupTable, run_job: RunJob, job: CopyJob
    ) -> None:
        self._cluster = cluster
        self._path = ClusterPath(cluster.name, cluster.cluster_id)
        self._parameters = parameters
        self._table = table
        self._run_job = run_job
        self._job = job
        self._sizes: tuple[int, int] = (0, 0)
        """The bytes that are done of the present folder, and all of them."""

    async def run(self, copies: list[tuple[Backup, str]]) -> None:
        """Make the copies, each of an original in that destination, then record the job's end."""
        for copy, source in copies:
            result, cause = CopyResult.GOOD, ""
            try:
                await self._copy(copy, source)
            except _NotCopiedError as error:
                result, cause = CopyResult.FAILED, str(error)
                _log.error("a backup cannot be copied", job=self._job.job_id, backup=str(copy.key), cause=cause)
            await self._insist(self._table.ended, self._job, copy, time.time_ns(), result, cause)
            if result:
                self._job = replace(self._job, result=result, comment=f"{copy.noun} {copy.key}: {cause}")
        self._job = replace(self._job, status=CopyStatus.FINISH, end_time=time.time_ns())
        if not self._job.result:
            self._job = replace(self._job, comment="")
        await self._insist(self._table.save, self._job)
        _log.info("second backup done", job=self._job.job_id, result=self._job.result)

    async def _copy(self, copy: Backup, source: str) -> None:
        """Copy the folders of all tenants. Raises _NotCopiedError."""
        done = 0
        for tenant_id in copy.tenants:
            folder = (
                set_path(self._path, tenant_id, copy.key).folder
                if isinstance(copy, BackupSet)
                else self._path.piece(tenant_id, copy.key).folder
            )
            request = CopyFolder(
                source,
                self._job.destination,
                folder,
                self._cluster.name,
                self._cluster.cluster_id,
                self._cluster.identity,
                self._parameters.size(NET_LIMIT),
            )
            done += await self._folder(copy, request, done)

    async def _folder(self, copy: Backup, request: CopyFolder, before: int) -> int:
        """Copy one folder, however often it takes; returns its bytes. Raises _NotCopiedError."""
        pause = _PAUSE
        while True:
            self._sizes = (0, 0)
            job = asyncio.ensure_future(self._run_job(request, self._progress))
            try:
                while not job.done():
                    await asyncio.wait([job], timeout=_TELL_EVERY)
                    await self._tell(copy, before)
            finally:
                job.cancel()
                await asyncio.wait([job])
            match job.result():
                case FolderCopied(size=size):
                    self._sizes = (size, size)
                    await self._tell(copy, before)
                    return size
                case Failed(text=text, is_final=True):
                    raise _NotCopiedError(text)
                case other:
                    await self._wait_because(getattr(other, "text", "the job returned an unexpected result"), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _progress(self, done: int, total: int) -> None:
        self._sizes = (done, total)

    async def _tell(self, copy: Backup, before: int) -> None:
        """Record how far a copy is, if the catalog answers."""
        done, total = self._sizes
        try:
            await asyncio.to_thread(self._table.progress, self._job, copy, before + done, before + total)
        except CatalogError as error:
            _log.warning("cannot write the progress of a copy to the catalog", cause=str(error))

    async def _wait_because(self, cause: str, pause: float) -> None:
        """Wait before the next attempt; the job's row says why, once for each cause."""
        if cause != self._job.comment:
            _log.warning("second backup is delayed, retrying", job=self._job.job_id, cause=cause)
            self._job = replace(self._job, comment=cause)
            try:
                await asyncio.to_thread(self._table.save, self._job)
            except CatalogError as error:
                _log.warning("cannot write the cause to the catalog", cause=str(error))
        await asyncio.sleep(pause)

    async def _insist(self, write: Callable[..., None], *values: object) -> None:
        """Write to the catalog, however often it takes."""
        pause = _PAUSE
        while True:
            try:
                await asyncio.to_thread(write, *values)
            except CatalogError as error:
                _log.warning("cannot write to the catalog, retrying", cause=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return
