"""Deletes backups: by statement, automatically, and as a background job.

One job runs at a time. The backups of a job are in DELETING before the first file is removed, so that the job resumes
after a crash of the service. A job retries while the destination does not answer; its row says why it waits.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from redoubt.catalog.backups import Backups
from redoubt.catalog.cleaning import Cleaning, CleanJob, CleanStatus, CleanType
from redoubt.catalog.session import CatalogError
from redoubt.control.backups.clean_work import CleanWork
from redoubt.control.backups.clock_watch import ClockWatch
from redoubt.control.cluster import Cluster
from redoubt.control.parameters.parameter_list import KEEP_INTERVAL, KEEP_WINDOW
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.destinations.uri import inside
from redoubt.model import retention
from redoubt.model.retention import Backup, BackupSet, FileStatus, NotDeletableError, Obsolete, Periods, Refusal
from redoubt.model.second_backups import copies_of_round_to_delete, copies_to_delete
from redoubt.sql.answers import PREVIEW_COLUMNS, Rows
from redoubt.sql.errors import (
    SqlError,
    backup_piece_deleted,
    backup_piece_not_frozen,
    cancel_delete_not_allowed,
    delete_backup_set_not_allowed,
    delete_in_progress,
    delete_piece_not_allowed,
    no_backup_piece,
    no_backup_round,
    no_backup_set,
    not_supported_text,
)
from redoubt.sql.statements import BackupPart, DeleteBackup

_NS = 10**9
_LOOK_PAUSE = 10.0
_LONGEST_INTERVAL = 86400.0
_KINDS = {BackupPart.SET: CleanType.SET, BackupPart.PIECE: CleanType.PIECE, BackupPart.ROUND: CleanType.ROUND}
_BY_ITSELF = "automatic deletion (auto_delete)"
_log = structlog.get_logger("redoubt.control.backups.deletion")


class Deletion:
    """For the event loop. `load` resumes an unfinished job; `run` deletes obsolete backups automatically."""

    def __init__(
        self,
        cluster: Cluster,
        archiving: Archiving,
        parameters: Parameters,
        backups: Backups,
        cleaning: Cleaning,
        clock: ClockWatch,
    ) -> None:
        self._archiving = archiving
        self._parameters = parameters
        self._backups = backups
        self._cleaning = cleaning
        self._clock = clock
        self.work = CleanWork(cluster, cleaning)
        self._job: CleanJob | None = None
        self._task: asyncio.Task[None] | None = None
        self._looked_at = 0
        self._is_doubted = False

    @property
    def is_running(self) -> bool:
        """Whether a job is running."""
        return self._task is not None and not self._task.done()

    async def load(self) -> None:
        """Resume the job that was running when the last service ended. Raises CatalogError."""
        job = await asyncio.to_thread(self._cleaning.unfinished)
        if job is not None and not self.is_running:
            doomed = await asyncio.to_thread(self._doomed)
            _log.info("deletion resumed", job=job.job_id)
            self._launch(job, doomed)

    async def delete(self, statement: DeleteBackup) -> None:
        """`DELETE BACKUPSET|BACKUPPIECE|BACKUPROUND`: returns when the job has begun. Raises SqlError, CatalogError."""
        copy = f" COPY {statement.copy_id}" if statement.copy_id else ""
        text = f"ALTER SYSTEM DELETE {statement.part} {statement.number}{copy}"
        async with self._archiving.statement:
            self._check_idle()
            try:
                doomed = await asyncio.to_thread(self._chosen, statement)
            except NotDeletableError as error:
                raise _refused(statement, error) from error
            await self._begin(_KINDS[statement.part], str(statement.number), text, doomed)

    async def delete_obsolete(self) -> None:
        """`DELETE OBSOLETE BACKUP`: returns when the job has begun. Raises SqlError, CatalogError."""
        async with self._archiving.statement:
            self._check_idle()
            found, now = await self._checked_obsolete()
            await self._begin_obsolete(found, now, "ALTER SYSTEM DELETE OBSOLETE BACKUP")

    async def preview_obsolete(self) -> Rows:
        """`DELETE OBSOLETE BACKUP PREVIEW`: what it would delete now, the folder of each tenant.

        Raises SqlError, CatalogError.
        """
        found, _ = await self._checked_obsolete()
        doomed: list[Backup] = [*found.sets, *found.pieces]
        return Rows(PREVIEW_COLUMNS, [self._shown(each, tenant) for each in doomed for tenant in each.tenants])

    async def cancel(self) -> None:
        """`CANCEL DELETE BACKUP`: backups not deleted yet stay in DELETING. Raises SqlError 9053, CatalogError."""
        async with self._archiving.statement:
            job, task = self._job, self._task
            if job is None or task is None or task.done():
                raise cancel_delete_not_allowed("no deletion is running")
            await asyncio.to_thread(
                self._cleaning.save, replace(job, status=CleanStatus.CANCEL, end_time=time.time_ns())
            )
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            _log.info("deletion cancelled", job=job.job_id)

    async def run(self) -> None:
        """Delete obsolete backups from time to time, if auto delete is on; runs until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_PAUSE)
            try:
                await self.look()
            except CatalogError as error:
                _log.warning("cannot find obsolete backups in the catalog, retrying", cause=str(error))

    async def look(self) -> None:
        """Delete obsolete backups, if auto delete is on and due. Raises CatalogError."""
        window = self._parameters.recovery_window
        doubt = await asyncio.to_thread(self._clock.look, window)  # always, so that time is witnessed
        if bool(doubt) != self._is_doubted:
            self._is_doubted = bool(doubt)
            states = ("BELIEVED", "DOUBTED") if doubt else ("DOUBTED", "BELIEVED")
            self._archiving.cluster_event("CLOCK", *states, doubt)
        if doubt or not self._parameters.auto_delete or window <= 0 or self.is_running:
            return
        if not self._looked_at:
            self._looked_at = await asyncio.to_thread(self._cleaning.last_end, CleanType.OBSOLETE)
        if time.time_ns() < self._looked_at + min(window / 2, _LONGEST_INTERVAL) * _NS:
            return
        async with self._archiving.statement:
            if self.is_running:
                return  # a statement came first
            if await asyncio.to_thread(self._clock.look, window):
                return  # the clock has jumped while a statement ran
            found, now = await asyncio.to_thread(self._obsolete)
            if found != Obsolete():  # otherwise the history would get an empty row each time
                await self._begin_obsolete(found, now, _BY_ITSELF)
            self._looked_at = time.time_ns()

    async def close(self) -> None:
        """Stop the running job; the next start of the service resumes the job."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _check_idle(self) -> None:
        if self.is_running:
            raise delete_in_progress(
                "wait for STATUS = 'STOP' in CDB_OB_BACKUP_CLEAN_HISTORY, or run ALTER SYSTEM CANCEL DELETE BACKUP"
            )

    def _doomed(self) -> list[Backup]:
        """The backups in DELETING. Blocks."""
        of = self._backups
        everything: list[Backup] = [*of.sets(), *of.pieces(), *of.set_copies(), *of.piece_copies()]
        return [each for each in everything if each.file_status is FileStatus.DELETING]

    def _chosen(self, statement: DeleteBackup) -> list[Backup]:
        """The backups that a statement deletes. Blocks. Raises NotDeletableError."""
        number, destination = statement.number, self._parameters.backup_dest
        if statement.copy_id:
            return self._chosen_copies(statement)
        pieces, sets, now = self._backups.pieces(), self._backups.sets(), time.time_ns()
        if statement.part is BackupPart.PIECE:
            return [retention.piece_to_delete(number, pieces, sets, destination, now)]
        if statement.part is BackupPart.ROUND:
            stopped = self._backups.stopped_rounds()
            return list(retention.round_to_delete(number, stopped, pieces, sets, destination, now))
        return [retention.set_to_delete(number, sets, destination, now)]

    def _chosen_copies(self, statement: DeleteBackup) -> list[Backup]:
        """The copies that a statement deletes. Blocks. Raises NotDeletableError."""
        number, copy_id = statement.number, statement.copy_id
        if statement.part is BackupPart.ROUND:
            return copies_of_round_to_delete(number, copy_id, self._backups.piece_copies())
        is_piece = statement.part is BackupPart.PIECE
        copies = self._backups.piece_copies() if is_piece else self._backups.set_copies()
        return copies_to_delete(number, copy_id, copies)

    async def _checked_obsolete(self) -> tuple[Obsolete, int]:
        """As `_obsolete`, if there is a window and the clock is not in doubt. Raises SqlError, CatalogError."""
        window = self._parameters.recovery_window
        if window <= 0:
            raise not_supported_text(
                "can not execute delete obsolete, because recovery window unexpected. "
                f"recovery window : {window:.0f} .",
                "set a recovery window, such as ALTER SYSTEM SET backup_dest_option = 'recovery_window=7d'",
            )
        if doubt := await asyncio.to_thread(self._clock.look, window):
            raise not_supported_text("can not execute delete obsolete, because the clock is in doubt", doubt)
        return await asyncio.to_thread(self._obsolete)

    def _shown(self, each: Backup, tenant_id: int) -> tuple[str | int | None, ...]:
        """A tenant's part of a backup that would be deleted, as a row of PREVIEW_COLUMNS."""
        path = inside(each.destination, self.work.folder_of(each, tenant_id))
        if isinstance(each, BackupSet):
            return "BACKUP_SET", each.set_id, each.copy_id, path, str(each.file_status)
        return "BACKUP_PIECE", each.key.piece, each.copy_id, path, str(each.file_status)

    def _obsolete(self) -> tuple[Obsolete, int]:
        """The obsolete backups, and the moment from which ages are counted. Blocks.

        That is the newest archived moment: nothing newer replaces the old backups.
        """
        window = round(self._parameters.recovery_window * _NS)
        pieces, sets = self._backups.pieces(), self._backups.sets()
        archived = self._archiving.round.checkpoint_scn  # 0 while a round begins
        archived = archived or max((each.max_scn for each in pieces if each.is_whole), default=0)
        now = min(time.time_ns(), archived or time.time_ns())
        periods = Periods(
            round(self._parameters.seconds(KEEP_INTERVAL) * _NS), round(self._parameters.seconds(KEEP_WINDOW) * _NS)
        )
        return retention.obsolete(pieces, sets, self._parameters.backup_dest, window, now, periods), now

    async def _begin_obsolete(self, found: Obsolete, now: int, statement: str) -> None:
        expire_point = now // 1000 - round(self._parameters.recovery_window * 10**6)
        await self._begin(CleanType.OBSOLETE, str(expire_point), statement, [*found.sets, *found.pieces])

    async def _begin(self, kind: CleanType, parameter: str, statement: str, doomed: list[Backup]) -> None:
        job = await asyncio.to_thread(self._cleaning.begin, kind, parameter, statement, doomed, time.time_ns())
        _log.info("deletion started", job=job.job_id, statement=statement, backups=[str(each.key) for each in doomed])
        self._launch(job, doomed)

    def _launch(self, job: CleanJob, doomed: list[Backup]) -> None:
        self._job = job
        self._task = asyncio.create_task(self.work.run(job, doomed))
        self._task.add_done_callback(_report)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("deletion failed", exc_info=task.exception())


def _refused(statement: DeleteBackup, error: NotDeletableError) -> SqlError:
    """OceanBase's error for a backup that may not be deleted."""
    number, copy_id, is_set = statement.number, statement.copy_id, statement.part is BackupPart.SET
    match error.refusal:
        case Refusal.NEEDED:
            return delete_backup_set_not_allowed(str(error)) if is_set else delete_piece_not_allowed(str(error))
        case Refusal.MISSING:
            missing = {BackupPart.PIECE: no_backup_piece, BackupPart.ROUND: no_backup_round}
            return missing.get(statement.part, no_backup_set)(number, copy_id)
        case Refusal.DELETED:
            return backup_piece_deleted(number, error.status, copy_id)
        case _:  # Refusal.NOT_FROZEN
            return backup_piece_not_frozen(number, error.status, copy_id)
