"""The work of a job that copies backups to a second destination; retries until each copy is made, or cannot be made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import folder_at
from redoubt.catalog.second_backups import CopyJob, CopyResult, CopyStatus, SecondBackupTable
from redoubt.catalog.session import CatalogError
from redoubt.control.backups.backup_work import RunJob
from redoubt.control.cluster import Cluster
from redoubt.control.parameters.parameter_list import NET_LIMIT
from redoubt.control.parameters.parameters import Parameters
from redoubt.messages.jobs import CopyFolder, Failed, FolderCopied, Outcome
from redoubt.model.retention import Backup

T = TypeVar("T")

_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_TELL_EVERY = 2.0
_log = structlog.get_logger("redoubt.control.backups.copy_work")


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
        self._copied: dict[str, int] = {}
        """The folders that are copied, with their bytes."""
        self._sizes = (0, 0)
        """The bytes that are done of the present folder, and all of them."""

    async def run(self, copies: list[tuple[Backup, str]]) -> None:
        """Make the copies, each of an original in that destination, then record the job's end.

        A copy that cannot be made now holds up no other: it is tried again after them.
        """
        left, pause = copies, _PAUSE
        while left := await self._pass(left):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        failure = await self._insist(self._table.first_failure, self._job)
        result = CopyResult.FAILED if failure else CopyResult.GOOD
        self._job = replace(
            self._job, status=CopyStatus.FINISH, end_time=time.time_ns(), result=result, comment=failure
        )
        await self._insist(self._table.save, self._job)
        _log.info("second backup done", job=self._job.job_id, result=result)

    async def _pass(self, copies: list[tuple[Backup, str]]) -> list[tuple[Backup, str]]:
        """Try to make each copy; returns those that must be tried again. The job's row names the first cause."""
        left, causes = list[tuple[Backup, str]](), list[str]()
        for copy, source in copies:
            if cause := await self._copy(copy, source):
                left.append((copy, source))
                causes.append(cause)
        await self._tell_cause(causes[0] if causes else "")
        return left

    async def _copy(self, copy: Backup, source: str) -> str:
        """Copy the folders of all tenants, and record the end of the copy; returns why it must be tried again."""
        causes, failures, done = list[str](), list[str](), 0
        for tenant_id in copy.tenants:
            folder = folder_at(self._path, tenant_id, copy.key).folder
            outcome = await self._folder(copy, source, folder, done)
            match outcome:
                case FolderCopied(size=size):
                    self._copied[folder] = size
                    self._sizes = (size, size)
                    await self._tell(copy, done)
                    done += size
                case Failed(text=text, is_final=True):
                    failures.append(text)
                case other:
                    causes.append(getattr(other, "text", "the job returned an unexpected result"))
        if not causes:
            cause, result = "; ".join(failures), CopyResult.FAILED if failures else CopyResult.GOOD
            if failures:
                _log.error("a backup cannot be copied", job=self._job.job_id, backup=str(copy.key), cause=cause)
            await self._insist(self._table.ended, self._job, copy, time.time_ns(), result, cause)
        return causes[0] if causes else ""

    async def _folder(self, copy: Backup, source: str, folder: str, before: int) -> Outcome:
        """Copy one folder, unless that is done; `before` are the bytes of the copy's earlier folders."""
        if folder in self._copied:
            return FolderCopied(0, self._copied[folder], 0)
        request = CopyFolder(
            *(source, self._job.destination, folder),
            *(self._cluster.name, self._cluster.cluster_id, self._cluster.identity),
            self._parameters.size(NET_LIMIT),
        )
        self._sizes = (0, 0)
        job = asyncio.ensure_future(self._run_job(request, self._progress))
        try:
            while not job.done():
                await asyncio.wait([job], timeout=_TELL_EVERY)
                await self._tell(copy, before)
            return job.result()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt may do
            _log.error("a folder's copy failed", folder=folder, exc_info=error)
            return Failed(f"{type(error).__name__}: {error}")
        finally:
            job.cancel()
            await asyncio.wait([job])

    def _progress(self, done: int, total: int) -> None:
        self._sizes = (done, total)

    async def _tell(self, copy: Backup, before: int) -> None:
        """Record how far a copy is, if the catalog answers."""
        done, total = self._sizes
        try:
            await asyncio.to_thread(self._table.progress, self._job, copy, before + done, before + total)
        except CatalogError as error:
            _log.warning("cannot write the progress of a copy to the catalog", cause=str(error))

    async def _tell_cause(self, cause: str) -> None:
        """Write into the job's row why the job waits, whenever that changes; empty if it does not wait."""
        if cause == self._job.comment:
            return
        if cause:
            _log.warning("second backup is delayed, retrying", job=self._job.job_id, cause=cause)
        try:
            await asyncio.to_thread(self._table.save, replace(self._job, comment=cause))
            self._job = replace(self._job, comment=cause)
        except CatalogError as error:
            _log.warning("cannot write the cause to the catalog", cause=str(error))

    async def _insist(self, question: Callable[..., T], *values: object) -> T:
        """Ask the catalog, however often it takes."""
        pause = _PAUSE
        while True:
            try:
                return await asyncio.to_thread(question, *values)
            except CatalogError as error:
                _log.warning("the catalog does not answer, retrying", cause=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
