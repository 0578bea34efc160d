"""Sends commands to the archive worker: which pieces to archive, when to stop, when to switch.

The log is held before the worker is told to archive it. A restarted worker gets all commands again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from redoubt.catalog.catalog import Catalog
from redoubt.catalog.session import CatalogError
from redoubt.control.cluster import Cluster
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.rounds.piece_tasks import WorkerLink, piece_tasks
from redoubt.messages.archiving import ArchivePiece, StopRound, SwitchPiece
from redoubt.model.rounds import Round, RoundStatus

_RETRY_PAUSE = 0.5
_log = structlog.get_logger("redoubt.control.rounds.orders")


class Orders:
    """For the event loop. `present()` is the current round; the lock `statement` keeps statements from changing it.

    `stop_patience` is the time limit in seconds for a stop to archive the end of the log.
    """

    def __init__(
        self,
        cluster: Cluster,
        catalog: Catalog,
        worker: WorkerLink,
        chronicle: Chronicle,
        present: Callable[[], Round],
        statement: asyncio.Lock,
        stop_patience: float,
    ) -> None:
        self._cluster = cluster
        self._catalog = catalog
        self._worker = worker
        self._chronicle = chronicle
        self._present = present
        self._statement = statement
        self._stop_patience = stop_patience
        self._tasks: set[asyncio.Task[None]] = set()

    def launch(self, archive: TenantArchive) -> None:
        """Make the worker archive a tenant's open pieces, as soon as the engine tells the start."""
        self.begin(self._tell(archive, self._present().round_id))

    def stop(self, archive: TenantArchive, patience: float | None = None) -> None:
        """Stop a tenant's round. A worker that does not know the round yet gets both commands later."""
        if archive.told:
            seconds = self._stop_patience if patience is None else patience
            now, tenant_id = self._present(), archive.tenant.tenant_id
            self._worker.send(StopRound(tenant_id, now.round_id, seconds, archive.stop_lsn))

    def switch(self, archive: TenantArchive) -> None:
        """Switch a tenant's log to the round's last piece. The log of an INTERRUPTED tenant stays in its piece."""
        now, tenant_id = self._present(), archive.tenant.tenant_id
        old, new = now.pieces[-2:]
        if old.piece_id in archive.told and tenant_id in new.tenants:
            self._worker.send(
                SwitchPiece(tenant_id, now.round_id, old.piece_id, new.piece_id, new.create_date, old.switch_scn)
            )

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """End the background tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, archive: TenantArchive, round_id: int) -> None:
        """Hold the tenant's log and send its tasks; retries while engine or catalog do not answer."""
        while True:
            of = self._present()
            if of.round_id != round_id or archive.tenant.tenant_id not in of.tenants:
                return  # the round is over, or the tenant has left
            try:
                tasks = await self._prepare(archive, of)
                if _open(self._present(), archive) == _open(of, archive):
                    break
            except (OSError, CatalogError) as error:
                _log.warning(
                    "cannot start archiving the tenant, retrying", tenant=archive.tenant.name, cause=str(error)
                )
                await asyncio.sleep(_RETRY_PAUSE)
        now = self._present()
        if now.round_id != round_id or now.status is RoundStatus.STOP:
            return  # the round was stopped meanwhile
        if now.status_of(archive.tenant.tenant_id) is RoundStatus.INTERRUPTED and not any(
            task.broken_by for task in tasks
        ):
            return  # interrupted meanwhile; another task sends the interruption
        for task in tasks:
            if task.piece not in archive.told:
                self._worker.send(task)
                archive.told.add(task.piece)
        archive.commits.resend()
        if now.status is RoundStatus.STOPPING or archive.is_leaving:
            self.stop(archive)

    async def _prepare(self, archive: TenantArchive, of: Round) -> list[ArchivePiece]:
        """Hold the log if the round still archives, and make the tasks. Raises OSError and CatalogError."""
        async with self._statement:  # so that nobody releases the held log meanwhile
            now = self._present()
            if now.is_archiving_of(archive.tenant.tenant_id) and now.round_id == of.round_id:
                await asyncio.to_thread(archive.tenant.engine.hold_log)
        hole = self._chronicle.hole(archive.tenant.tenant_id, of.round_id)
        return await asyncio.to_thread(piece_tasks, self._cluster, archive.tenant, of, hole, self._catalog)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("background work failed", exc_info=task.exception())


def _open(now: Round, archive: TenantArchive) -> list[tuple[int, int]]:
    """Which pieces are open for a tenant, and where they end."""
    return [(piece.piece_id, piece.switch_scn) for piece in now.open_pieces(archive.tenant.tenant_id)]
