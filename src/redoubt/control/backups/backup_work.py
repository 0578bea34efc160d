"""The work of a data backup: take the base of each tenant, then wait for the log that the bases need.

Only this module writes the set's rows, so that no late write overwrites a newer one. To end the backup from outside,
call `end` with a cause; the work then writes FAILED itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.catalog.set_table import SetTable
from redoubt.control.cluster import Cluster
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.rounds.archiving import Archiving
from redoubt.messages.jobs import BaseTaken, Outcome, Request, TakeBase
from redoubt.model import data_backups
from redoubt.model.data_backups import DataBackup, EncryptionMode, TenantBackup
from redoubt.model.rounds import RoundStatus

RunJob = Callable[[Request, Callable[[int, int], None]], Awaitable[Outcome]]
"""See `job_process.run_job`."""

_LOOK = 0.25
_RETRY = 0.5
_PATIENCE = 600.0
"""Seconds without progress of the archive after which the backup fails."""
_DROPPED = "the tenant was dropped during the backup"
_log = structlog.get_logger("redoubt.control.backups.backup_work")


class _OverError(Exception):
    """The backup has failed as a whole; the text is the cause."""


class _PartError(Exception):
    """A tenant's part has failed; the text is the cause. The other parts go on."""


@dataclass(frozen=True)
class BackupTerms:
    """How a data backup is taken: the longest pause in seconds, the most bytes to store a second, 0 for no limit.

    A `password` encrypts the backup.
    """

    pause_limit: float
    net_limit: int = 0
    password: str = field(default="", repr=False)


class BackupWork:
    """One data backup, for the event loop. `now` is its current state."""

    def __init__(
        self,
        cluster: Cluster,
        archiving: Archiving,
        table: SetTable,
        run_job: RunJob,
        backup: DataBackup,
        terms: BackupTerms,
    ) -> None:
        self._cluster = cluster
        self._archiving = archiving
        self._table = table
        self._run_job = run_job
        self._terms = terms
        self._archives = [each for each in archiving.archives if each.tenant.tenant_id in backup.tenants]
        self._leaving: set[int] = set()
        self._cause = ""
        self._ended = asyncio.Event()
        self._job: asyncio.Future[Outcome] | None = None
        self._taking = 0
        self._waits_since: tuple[float, dict[int, int | None]] = (0.0, {})
        """When the log of all parts began to be waited for, and how far the archives were then."""
        self._saved = backup
        self.now = backup

    async def run(self) -> None:
        """Run the backup, and record its result."""
        try:
            for archive in self._archives:
                await self._part(archive, self._take)
            self._waits_since = (
                time.monotonic(),
                {archive.tenant.tenant_id: archive.durable_lsn for archive in self._archives},
            )
            for archive in self._archives:
                await self._part(archive, self._wait_for_log)
            self.now = data_backups.ended(self.now, time.time_ns())
        except _OverError as error:
            self.now = data_backups.failed(self.now, str(error), time.time_ns())
        except Exception as error:  # noqa: BLE001 - record every failure: no backup stays in DOING
            _log.error("data backup failed", exc_info=error)
            self.now = data_backups.failed(self.now, f"{type(error).__name__}: {error}", time.time_ns())
        _log.info("data backup ended", set=self.now.key.set_id, status=self.now.status, cause=self.now.comment)
        while not await self._save():  # noqa: ASYNC110 - the catalog does not signal that it answers again
            await asyncio.sleep(_RETRY)

    def end(self, cause: str) -> None:
        """End a running backup at once: it becomes FAILED with `cause`."""
        if not self._cause:
            self._cause = cause
            self._ended.set()
            if self._job is not None:
                self._job.cancel()

    async def leave(self, tenant_id: int) -> None:
        """Continue without a tenant. When this returns, the backup no longer uses the tenant's engine."""
        self._leaving.add(tenant_id)
        if self._job is not None and self._taking == tenant_id:
            self._job.cancel()
            await asyncio.wait([self._job])

    async def _part(self, archive: TenantArchive, work: Callable[[TenantArchive], Awaitable[None]]) -> None:
        """Do some work on a tenant's part; its failure is its own. Raises _OverError."""
        try:
            await work(archive)
        except _PartError as error:
            cause = f"tenant {archive.tenant.name}: {error}"
            _log.error("a tenant's part of the data backup failed", set=self.now.key.set_id, cause=cause)
            self.now = data_backups.part_failed(self.now, archive.tenant.tenant_id, cause, time.time_ns())
            await self._save()

    async def _take(self, archive: TenantArchive) -> None:
        """Take a tenant's base, unless the tenant leaves. Raises _PartError, _OverError."""
        tenant = archive.tenant
        self._check(archive, is_taken=False)
        if self._is_leaving(archive):
            await self._lose(archive)
            return
        request = TakeBase(
            tenant_id=tenant.tenant_id,
            tenant=tenant.name,
            base_dir=str(tenant.base_dir),
            engine_kind=tenant.engine_kind,
            destination=self.now.destination,
            cluster=self._cluster.name,
            cluster_id=self._cluster.cluster_id,
            identity=self._cluster.identity,
            set_id=self.now.key.set_id,
            create_date=self.now.key.create_date,
            began_at=self.now.start_time,
            pause_limit=self._terms.pause_limit,
            encrypts=self.now.encryption is EncryptionMode.TRANSPARENT,
            password=self._terms.password,
            net_limit=self._terms.net_limit,
        )
        self._taking = tenant.tenant_id
        self._job = asyncio.ensure_future(self._run_job(request, self._progress))
        try:
            while not self._job.done():
                await asyncio.wait([self._job], timeout=_LOOK)
                if not self._job.done():
                    self._check(archive, is_taken=False)
                    await self._save()
            self._check(archive, is_taken=False)
            if self._job.cancelled() or (self._is_leaving(archive) and not _is_taken(self._job)):
                await self._lose(archive)
            else:
                self._taken(archive, self._job.result())
                await self._save()
        finally:
            self._job.cancel()
            await asyncio.wait([self._job])
            self._job = None

    def _taken(self, archive: TenantArchive, outcome: Outcome) -> None:
        """Record the base that the job has taken. Raises _PartError if the job failed."""
        part = self.now.tenants[archive.tenant.tenant_id]
        if not isinstance(outcome, BaseTaken):
            text = getattr(outcome, "text", "the job returned an unexpected result")
            raise _PartError(text)
        self.now = data_backups.changed(self.now, _with_base(part, outcome))
        _log.info("base taken", set=self.now.key.set_id, tenant=archive.tenant.name, pause_us=outcome.pause_us)

    async def _wait_for_log(self, archive: TenantArchive) -> None:
        """Return when the archive holds the log that a tenant's base needs. Raises _PartError, _OverError."""
        part = self.now.tenants[archive.tenant.tenant_id]
        if not part.is_taken:
            return  # the tenant has left, or its part has failed
        moved_at, durable = time.monotonic(), archive.durable_lsn
        began_at, first = self._waits_since
        if durable == first.get(part.tenant_id):
            moved_at = began_at  # nothing has moved while the other tenants' log was waited for
        while (archive.durable_lsn or 0) < part.snapshot_lsn:
            self._check(archive, is_taken=True)
            if archive not in self._archiving.archives:
                await self._lose(archive)
                return
            if archive.durable_lsn != durable:
                moved_at, durable = time.monotonic(), archive.durable_lsn
            elif time.monotonic() - moved_at > _PATIENCE:
                raise _PartError(
                    f"the archive made no progress for {_PATIENCE:g} s, but the data backup needs more log: "
                    f"{archive.trouble or 'the cause is unknown'}"
                )
            archive.commits.flush()  # log in which nobody wrote would wait for longer
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._ended.wait()
        self.now = data_backups.archived(self.now, part.tenant_id, time.time_ns())
        await self._save()

    def _check(self, archive: TenantArchive, *, is_taken: bool) -> None:
        """Raise _OverError if the backup was ended, or if the log that the backup needs will not be archived.

        Raise _PartError if only this tenant's log will not be. A round that is stopping archives its log to the end,
        which is enough for bases that have been taken.
        """
        if self._cause:
            raise _OverError(self._cause)
        round_now = self._archiving.round
        enough = {RoundStatus.DOING, RoundStatus.STOPPING} if is_taken else {RoundStatus.DOING}
        if round_now.round_id != self.now.round_id or round_now.status not in enough:
            why = f" ({round_now.comment})" if round_now.comment else ""
            raise _OverError(
                f"the log that the data backup needs is not archived: log archive status is {round_now.status}{why}"
            )
        part = round_now.tenants.get(archive.tenant.tenant_id)
        if part is not None and part.status is RoundStatus.INTERRUPTED:
            raise _PartError(f"the log that the data backup needs is not archived: {part.comment}")

    def _is_leaving(self, archive: TenantArchive) -> bool:
        is_there = archive in self._archiving.archives
        return not is_there or archive.is_leaving or archive.tenant.tenant_id in self._leaving

    async def _lose(self, archive: TenantArchive) -> None:
        _log.info("data backup continues without a tenant", set=self.now.key.set_id, tenant=archive.tenant.name)
        self.now = data_backups.left(self.now, archive.tenant.tenant_id, _DROPPED, time.time_ns())
        await self._save()

    def _progress(self, done: int, total: int) -> None:
        part = self.now.tenants[self._taking]
        self.now = data_backups.changed(self.now, replace(part, input_bytes=done, total_bytes=total))

    async def _save(self) -> bool:
        """Bring the catalog up to date; returns whether it is."""
        now = self.now
        if now == self._saved:
            return True
        try:
            await asyncio.to_thread(self._table.save, now)
        except CatalogError as error:
            _log.warning("cannot write the data backup to the catalog, retrying", cause=str(error))
            return False
        self._saved = now
        return True


def _is_taken(job: asyncio.Future[Outcome]) -> bool:
    return not job.cancelled() and isinstance(job.result(), BaseTaken)


def _with_base(part: TenantBackup, taken: BaseTaken) -> TenantBackup:
    return replace(
        part,
        snapshot_scn=taken.snapshot_scn,
        start_scn=taken.start_scn,
        snapshot_lsn=taken.snapshot_lsn,
        start_lsn=taken.start_lsn,
        input_bytes=taken.input_bytes,
        output_bytes=taken.output_bytes,
        total_bytes=taken.input_bytes,
        pause_us=taken.pause_us,
        passes=taken.passes,
        method=taken.method,
    )
