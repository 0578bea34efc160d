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
from redoubt.model.second_backups import Copies, NotCopyableError, Selection, to_copy
from redoubt.sql.errors import (
    SqlError,
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
        kind = _KINDS[statement.part]
        async with self._archiving.statement:
            if (job := await asyncio.to_thread(self._table.unfinished)) is not None:
                raise backup_in_progress(
                    f"a second backup is running; wait until it ends, or run ALTER SYSTEM CANCEL BACKUP {job.kind}"
                )
            uri = await self._destination(statement)
            try:
                copies = await self._chosen(kind, Selection(statement.number, statement.max_copies), uri)
            except NotCopyableError as error:
                raise not_supported_text("this second backup is", str(error)) from error
            await self._archiving.destinations.claim_second(uri)
            job = CopyJob(0, kind, statement.number or 0, statement.max_copies or 0, uri, time.time_ns())
            job = await asyncio.to_thread(self._table.begin, job, copies)
            _log.info(
                "second backup started", job=job.job_id, destination=uri, backups=[str(each.key) for each in copies]
            )
            self._launch(job, await asyncio.to_thread(self._copying, job.kind))

    async def cancel(self, statement: CancelSecondBackup) -> None:
        """`CANCEL BACKUP BACKUPSET|BACKUPPIECE`: returns when the job has ended. Raises SqlError, CatalogError."""
        async with self._archiving.statement:
            job = await asyncio.to_thread(self._table.unfinished)
            if job is None or job.kind is not _KINDS[statement.part]:
                raise backup_already_stopped(f"no second backup of a {statement.part} is running")
            await self._end(job)

    async def abandon(self) -> None:
        """`CANCEL ALL BACKUP FORCE`: end an unfinished job. Raises CatalogError."""
        if (job := await asyncio.to_thread(self._table.unfinished)) is not None:
            await self._end(job)

    async def close(self) -> None:
        """Stop the running job; the next start of the service continues it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _end(self, job: CopyJob) -> None:
        """End an unfinished job, and leave its copies INCOMPLETE. Raises CatalogError; then it can be repeated."""
        await self.close()
        now = time.time_ns()
        for copy, _ in await asyncio.to_thread(self._copying, job.kind):
            await asyncio.to_thread(self._table.ended, job, copy, now, CopyResult.CANCELLED, "cancelled")
        over = replace(job, status=CopyStatus.CANCEL, end_time=now, result=CopyResult.CANCELLED, comment="cancelled")
        await asyncio.to_thread(self._table.save, over)
        _log.info("second backup cancelled", job=job.job_id)

    async def _destination(self, statement: SecondBackup) -> str:
        """Where a statement wants the copies: in a place that it names, which is checked, or in the configured one."""
        if statement.destination:
            await self._archiving.destinations.check_second(statement.destination, self._parameters.backup_dest)
            return statement.destination
        if configured := self._parameters.value(BACKUP_BACKUP_DEST):
            return configured
        raise backup_dest_not_valid(
            "backup_backup_dest is empty; run ALTER SYSTEM SET backup_backup_dest = 'file:///…' first, or name "
            "a destination with BACKUP_BACKUP_DEST"
        )

    async def _chosen(self, kind: CopyKind, selection: Selection, uri: str) -> list[Backup]:
        """The copies that are to be made. Raises NotCopyableError, CatalogError."""
        originals = await asyncio.to_thread(self._originals, kind)
        if selection.number is None:  # as a deletion of all: a former destination may be gone for good
            present = self._parameters.backup_dest.rstrip("/")
            originals = [each for each in originals if each.destination.rstrip("/") == present]
        copies = await asyncio.to_thread(self._copies)
        texts = sorted({each.destination for each in (*originals, *copies)})
        same = await asyncio.gather(*(self._is_same(text, uri) for text in texts))
        names = {text for text, is_same in zip(texts, same, strict=True) if is_same}
        is_configured = uri == self._parameters.value(BACKUP_BACKUP_DEST)
        return to_copy(selection, originals, Copies(copies, names, uri, is_configured=is_configured))

    async def _is_same(self, one: str, other: str) -> bool:
        """Whether two texts name one place; a destination that does not answer is taken for another one."""
        if one.rstrip("/") == other.rstrip("/"):
            return True
        try:
            return await self._questions.ask(one, is_same_place, one, other)
        except SqlError:
            return False

    def _copies(self) -> list[Backup]:
        """Blocks."""
        return [*self._backups.piece_copies(), *self._backups.set_copies()]

    def _originals(self, kind: CopyKind) -> list[Backup]:
        """Blocks."""
        return [*self._backups.sets()] if kind is CopyKind.SET else [*self._backups.pieces()]

    def _copying(self, kind: CopyKind) -> list[tuple[Backup, str]]:
        """The copies that are COPYING, each with the destination of its original. Blocks."""
        copies: list[Backup] = [*(self._backups.set_copies() if kind is CopyKind.SET else self._backups.piece_copies())]
        sources = {each.key: each.destination for each in self._originals(kind)}
        return [(each, sources[each.key]) for each in copies if each.file_status is FileStatus.COPYING]

    def _launch(self, job: CopyJob, copies: list[tuple[Backup, str]]) -> None:
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
