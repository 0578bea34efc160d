"""Second backups: copies of complete pieces and data backups in another destination.

One job runs at a time. The copies of a job are COPYING in the catalog before the first object is stored, so the next
start of the service continues the job after a crash. What cannot be copied is INCOMPLETE, with the cause in its task;
the job goes on with the next copy. While a destination does not answer, the job waits, and its row says why.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from redoubt.catalog.backups import Backups
from redoubt.catalog.second_backups import CopyJob, CopyKind, CopyResult, CopyStatus, SecondBackupTable
from redoubt.control.backups.backup_work import RunJob
from redoubt.control.backups.copy_work import CopyWork
from redoubt.control.cluster import Cluster
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.parameters.parameter_list import BACKUP_BACKUP_DEST
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.destinations.uri import is_same_place
from redoubt.model.retention import Backup, FileStatus
from redoubt.model.second_backups import NotCopyableError, Selection, to_copy
from redoubt.sql.errors import (
    backup_already_stopped,
    backup_dest_not_valid,
    backup_in_progress,
    not_supported,
    not_supported_text,
)
from redoubt.sql.statements import BackupPart, CancelSecondBackup, SecondBackup

_KINDS = {BackupPart.SET: CopyKind.SET, BackupPart.PIECE: CopyKind.PIECE}
_log = structlog.get_logger("redoubt.control.backups.second_backups")


class SecondBackups:
    """For the event loop. `load` continues a job that the last service left."""

    def __init__(
        self,
        cluster: Cluster,
        archiving: Archiving,
        parameters: Parameters,
        backups: Backups,
        table: SecondBackupTable,
        run_job: RunJob,
    ) -> None:
        self._cluster = cluster
        self._archiving = archiving
        self._parameters = parameters
        self._backups = backups
        self._table = table
        self._run_job = run_job
        self._questions = DestinationQuestions()
        self._job: CopyJob | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a job is running."""
        return self._task is not None and not self._task.done()

    async def load(self) -> None:
        """Continue the job that was running when the last service ended. Raises CatalogError."""
        job = await asyncio.to_thread(self._table.unfinished)
        if job is not None and not self.is_running:
            copies = await asyncio.to_thread(self._copying, job.kind)
            _log.info("second backup resumed", job=job.job_id)
            self._launch(job, copies)

    async def start(self, statement: SecondBackup) -> None:
        """`BACKUP BACKUPSET|BACKUPPIECE`: returns when the job has begun. Raises SqlError, CatalogError."""
        _check_supported(statement)
        async with self._archiving.statement:
            if self.is_running:
                raise backup_in_progress(
                    f"a second backup is running; wait until it ends, or run ALTER SYSTEM CANCEL BACKUP {self._kind}"
                )
            configured = self._parameters.value(BACKUP_BACKUP_DEST)
            uri = configured if statement.destination is None else statement.destination
            if not uri:
                raise backup_dest_not_valid(
                    "backup_backup_dest is empty; run ALTER SYSTEM SET backup_backup_dest = 'file:///…' first, or name "
                    "a destination with BACKUP_BACKUP_DEST"
                )
            if statement.destination is not None:
                await self._archiving.destinations.check_second(uri, self._parameters.backup_dest)
            try:
                copies = await self._questions.ask(uri, self._chosen, statement, uri, is_configured=uri == configured)
            except NotCopyableError as error:
                raise not_supported_text("this second backup is", str(error)) from error
            await self._archiving.destinations.claim_second(uri)
            job = CopyJob(
                0, _KINDS[statement.part], statement.number or 0, statement.max_copies or 0, uri, time.time_ns()
            )
            job = await asyncio.to_thread(self._table.begin, job, copies)
            _log.info(
                "second backup started", job=job.job_id, destination=uri, backups=[str(each.key) for each in copies]
            )
            self._launch(job, await asyncio.to_thread(self._copying, job.kind))

    async def cancel(self, statement: CancelSecondBackup) -> None:
        """`CANCEL BACKUP BACKUPSET|BACKUPPIECE`: returns when the job has ended. Raises SqlError, CatalogError."""
        async with self._archiving.statement:
            if not self.is_running or self._kind is not _KINDS[statement.part]:
                raise backup_already_stopped(f"no second backup of a {statement.part} is running")
            await self._end()

    async def abandon(self) -> None:
        """`CANCEL ALL BACKUP FORCE`: end a running job. Raises CatalogError."""
        if self.is_running:
            await self._end()

    async def close(self) -> None:
        """Stop the running job; the next start of the service continues it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _kind(self) -> CopyKind | None:
        return self._job.kind if self._job is not None else None

    async def _end(self) -> None:
        """End the running job, and leave its copies INCOMPLETE."""
        await self.close()
        job = self._job
        assert job is not None
        now = time.time_ns()
        for copy, _ in await asyncio.to_thread(self._copying, job.kind):
            await asyncio.to_thread(self._table.ended, job, copy, now, CopyResult.CANCELLED, "cancelled")
        over = replace(job, status=CopyStatus.CANCEL, end_time=now, result=CopyResult.CANCELLED, comment="cancelled")
        await asyncio.to_thread(self._table.save, over)
        _log.info("second backup cancelled", job=job.job_id)

    def _chosen(self, statement: SecondBackup, uri: str, *, is_configured: bool) -> list[Backup]:
        """The copies that a statement asks for. Blocks. Raises NotCopyableError, CatalogError."""
        originals, copies = self._known(_KINDS[statement.part])
        selection = Selection(statement.number, statement.max_copies)
        return to_copy(
            selection, originals, copies, lambda other: is_same_place(other, uri), uri, is_configured=is_configured
        )

    def _known(self, kind: CopyKind) -> tuple[list[Backup], list[Backup]]:
        """The originals and the copies of a kind. Blocks."""
        if kind is CopyKind.SET:
            return [*self._backups.sets()], [*self._backups.set_copies()]
        return [*self._backups.pieces()], [*self._backups.piece_copies()]

    def _copying(self, kind: CopyKind) -> list[tuple[Backup, str]]:
        """The copies that are COPYING, each with the destination of its original. Blocks."""
        originals, copies = self._known(kind)
        sources = {each.key: each.destination for each in originals}
        return [(each, sources[each.key]) for each in copies if each.file_status is FileStatus.COPYING]

    def _launch(self, job: CopyJob, copies: list[tuple[Backup, str]]) -> None:
        self._job = job
        work = CopyWork(self._cluster, self._parameters, self._table, self._run_job, job)
        self._task = asyncio.create_task(work.run(copies))
        self._task.add_done_callback(_report)


def _check_supported(statement: SecondBackup) -> None:
    """Refuse what OceanBase refuses, and second backups of one tenant. Raises SqlError."""
    if statement.has_active:
        raise not_supported_text("cluster level backup backup active piece", "only complete pieces are copied")
    if statement.tenant is not None:
        raise not_supported("second backup of one tenant", "leave TENANT out: all tenants are copied")
    if statement.max_copies is not None and statement.destination is None:
        raise not_supported(
            "NOT BACKED UP … TIMES with the configured backup_backup_dest", "name a destination with BACKUP_BACKUP_DEST"
        )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("second backup failed", exc_info=task.exception())
