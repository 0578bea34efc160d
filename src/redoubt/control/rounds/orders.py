"""Sees to it that the archive worker knows what it has to: which pieces to archive, when to stop, when to switch.

What it is to archive is held before it is told. A worker that starts anew is told everything again.
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
    """For the event loop. `present()` is the round as it is now; `statement` keeps statements from changing it.

    `stop_patience` are the seconds that a stop may take to archive the log's end.
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
        """Have the worker look after a tenant's open pieces, as soon as the engine can say where to begin."""
        self.begin(self._tell(archive, self._present().round_id))

    def stop(self, archive: TenantArchive, patience: float | None = None) -> None:
        """Have a tenant's round stopped; who has not been told of it yet is told both, one after the other."""
        if archive.told:
            seconds = self._stop_patience if patience is None else patience
            self._worker.send(StopRound(archive.tenant.tenant_id, self._present().round_id, seconds))

    def switch(self, archive: TenantArchive) -> None:
        """Have a tenant's log go on in the round's last piece."""
        now, tenant_id = self._present(), archive.tenant.tenant_id
        old, new = now.pieces[-2:]
        if old.piece_id in archive.told:
            self._worker.send(
                SwitchPiece(tenant_id, now.round_id, old.piece_id, new.piece_id, new.create_date, old.switch_scn)
            )

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done in the background."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, archive: TenantArchive, round_id: int) -> None:
        """Hold the tenant's log and send its tasks; tried again while engine or catalog do not answer."""
        while True:
            of = self._present()
            if of.round_id != round_id or archive.tenant.tenant_id not in of.tenants:
                return  # what was to be told is over
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
        if now.status is RoundStatus.INTERRUPTED and not any(task.broken_by for task in tasks):
            return  # interrupted meanwhile, and told so
        for task in tasks:
            if task.piece not in archive.told:
                self._worker.send(task)
                archive.told.add(task.piece)
        archive.commits.resend()
        if now.status is RoundStatus.STOPPING or archive.is_leaving:
            self.stop(archive)

    async def _prepare(self, archive: TenantArchive, of: Round) -> list[ArchivePiece]:
        """Hold the log, if the round archives still, and make the tasks. Raises OSError and CatalogError."""
        async with self._statement:  # so that nobody releases meanwhile what is held here
            now = self._present()
            if now.is_archiving and now.round_id == of.round_id:
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
