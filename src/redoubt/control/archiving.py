"""Rounds as the cluster runs them: started and stopped by statements, driven by what the archive worker tells.

The round's state is in memory, moved by the pure functions of `model.rounds`, and written to the catalog: at once when
a statement changes it, within half a second when the worker does. The catalog may lag; the destination decides where
archiving goes on, so nothing hangs on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import structlog

from redoubt.archiver.messages import (
    Event,
    Flushed,
    HoleClosed,
    HoleOpened,
    RoundBroken,
    RoundFreezing,
    RoundProgress,
    RoundStopped,
    RoundTrouble,
    SetCodec,
    StopRound,
)
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.session import CatalogError
from redoubt.control.asking import DestinationDesk
from redoubt.control.briefing import WorkerLink, round_task
from redoubt.control.chronicle import Chronicle
from redoubt.control.claims import check_new, claim, works
from redoubt.control.cluster import Cluster, Tenant
from redoubt.control.parameters import Parameters
from redoubt.control.tenant_archive import TenantArchive
from redoubt.model import rounds
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus
from redoubt.sql.errors import (
    backup_dest_not_valid,
    commit_interrupted,
    log_archive_already_disabled,
    not_supported,
)
from redoubt.sql.log_archive_option import Compression

_SAVE_PAUSE = 0.5
_RETRY_PAUSE = 0.5
STOP_PATIENCE = 20.0
"""Seconds that a stop may take to archive the log's end; then the round ends with what is durable."""
_WORKER_PATIENCE = 10.0
_HOLDING_NOTHING = frozenset({RoundStatus.STOP, RoundStatus.INTERRUPTED})
"""Statuses in which log is not held: a round that cannot go on must not fill the engine's disk."""
_log = structlog.get_logger("redoubt.control.archiving")


class Archiving:
    """The cluster's log archiving. All methods run on the event loop; what blocks is done in threads."""

    def __init__(
        self,
        cluster: Cluster,
        tenants: list[Tenant],
        catalog: Catalog,
        parameters: Parameters,
        worker: WorkerLink,
        chronicle: Chronicle,
    ) -> None:
        self._cluster = cluster
        self._archives = {
            tenant.tenant_id: TenantArchive(tenant, lambda: self.round.round_id, worker.send, chronicle)
            for tenant in tenants
        }
        self._chronicle = chronicle
        self._catalog = catalog
        self._parameters = parameters
        self._worker = worker
        self.statement = asyncio.Lock()
        """Held by a statement that must not run beside ARCHIVELOG, NOARCHIVELOG, or another such one."""
        self._desk = DestinationDesk()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = 0.0
        self.round = Round()
        """The present round, or the last one."""
        self._saved = self.round

    @property
    def archives(self) -> list[TenantArchive]:
        """What is known of each tenant's archive."""
        return list(self._archives.values())

    async def load(self) -> None:
        """Take over the round that the catalog has; the worker is told of it when it starts."""
        loaded = await asyncio.to_thread(self._catalog.load_round)
        assert loaded is not None, "the catalog has been prepared"
        self.round = self._saved = loaded
        await self._chronicle.load()
        if loaded.status is RoundStatus.INTERRUPTED:
            self._open_holes()
        elif loaded.status is RoundStatus.STOPPING:
            self._heard_at = time.monotonic()
            self._begin(self._force_stop(loaded.round_id))
        for tenant_id in loaded.tenants if loaded.is_archiving else ():
            if (hole := self._chronicle.hole(tenant_id, loaded.round_id)) is not None:
                self.interrupt(tenant_id, hole.cause)  # it was, and only the hole has been written

    async def start(self) -> None:
        """`ALTER SYSTEM ARCHIVELOG`: begin a round. Raises SqlError."""
        async with self.statement:
            uri = self._parameters.backup_dest
            if not uri:
                raise backup_dest_not_valid("it is empty; set it first: ALTER SYSTEM SET backup_dest = 'file:///…'")
            if self.round.status is not RoundStatus.STOP:
                raise not_supported("start log archive backup when not STOP")
            if self._parameters.is_deferred:
                raise not_supported(
                    "start log archive backup while log_archive_dest_state is DEFER",
                    "run ALTER SYSTEM SET log_archive_dest_state = 'ENABLE'",
                )
            tenant_ids, round_id = list(self._archives), self.round.round_id + 1
            await self._desk.ask(uri, claim, self._cluster, uri, tenant_ids, round_id)
            now = time.time_ns()
            begun = rounds.begin(
                self.round,
                tenants=list(self._archives),
                start_scn=now,
                create_date=int(datetime.now().astimezone().strftime("%Y%m%d")),
                destination=uri,
            )
            if self.round is not self._saved:  # how the last round ended would be in no history
                await asyncio.to_thread(self._catalog.save_round, self.round)
            await asyncio.to_thread(self._catalog.save_round, begun)
            self.round = self._saved = begun
            _log.info("round begins", round=begun.round_id, destination=uri)
            for archive in self.archives:
                archive.begin_round()
                self._launch(archive)
            self._kick()

    async def stop(self) -> None:
        """`ALTER SYSTEM NOARCHIVELOG`: stop the round. Raises SqlError."""
        async with self.statement:
            if self.round.status in {RoundStatus.STOP, RoundStatus.STOPPING}:
                raise log_archive_already_disabled()
            stopping = rounds.stopping(self.round)
            await asyncio.to_thread(self._catalog.save_round, stopping)
            self.round, self._saved = rounds.stopping(self.round), stopping  # the worker may have told something since
            self._changed.set()
            _log.info("round stops", round=stopping.round_id)
            self._heard_at = time.monotonic()
            for tenant_id, archive in self._archives.items():
                if archive.is_told:  # or else it is told both, one after the other, as soon as that can be
                    self._worker.send(StopRound(tenant_id, self.round.round_id, STOP_PATIENCE))
            self._begin(self._force_stop(stopping.round_id))
            self._kick()

    def interrupt(self, tenant_id: int, cause: str) -> None:
        """A tenant's log cannot be archived on, or not all of it: the round is broken, and the hole is on record."""
        was_archiving = self.round.is_archiving
        self.round = rounds.interrupted(self.round, tenant_id, cause)
        self._changed.set()
        if not was_archiving:
            return
        _log.error("round interrupted", round=self.round.round_id, tenant_id=tenant_id, cause=cause)
        self._open_holes()
        for archive in self.archives:
            archive.is_told = False
            archive.commits.turn_off(commit_interrupted(cause))  # before anybody stops the round, which lets them go
            self._launch(archive)
        self._kick()

    async def release_all_log(self, archive: TenantArchive) -> None:
        """Hold nothing of a tenant's log, unless a round has begun meanwhile."""
        async with self.statement:
            if self.round.status in _HOLDING_NOTHING:
                await asyncio.to_thread(archive.tenant.engine.release_all_log)

    async def destination_works(self) -> bool:
        """Whether objects can be stored in the present round's destination just now. Raises SqlError."""
        return await self._desk.ask(self.round.destination, works, self.round.destination)

    async def check_new_destination(self, uri: str) -> None:
        """Whether `backup_dest` may become `uri` now. Raises SqlError."""
        await self._desk.ask(uri, check_new, self._cluster, uri)

    def worker_started(self) -> None:
        """See `Listener`: tell the new worker everything."""
        self._set_codec()
        for archive in self.archives:
            archive.trouble = ""  # a new worker tells its own
            archive.is_told = False
            if self.round.is_archiving:
                self.round = rounds.troubled(self.round, archive.tenant.tenant_id, "")
                self._changed.set()
        if self.round.status is not RoundStatus.STOP:
            for archive in self.archives:
                self._launch(archive)

    def worker_says(self, event: Event) -> None:
        """See `Listener`."""
        if event.round != self.round.round_id or event.tenant_id not in self.round.tenants:
            return  # an answer that comes too late
        self._heard_at = time.monotonic()
        before = self.round.status
        match event:
            case Flushed():
                self._archives[event.tenant_id].commits.flushed(event.number)
                return
            case HoleOpened():
                self._chronicle.begin_hole_at(event.tenant_id, event.round, event.lsn, event.scn)
            case HoleClosed():
                start, end = (event.start_lsn, event.start_scn), (event.end_lsn, event.end_scn)
                self._chronicle.close_hole(event.tenant_id, event.after, start, end)
            case RoundBroken():
                self.interrupt(event.tenant_id, event.text)
                if self.round.status is RoundStatus.STOPPING:
                    self.round = rounds.tenant_stopped(self.round, event.tenant_id)
            case RoundStopped():
                self._archives[event.tenant_id].trouble = ""
                if self.round.status is RoundStatus.STOPPING:
                    self.round = rounds.tenant_stopped(self.round, event.tenant_id, event.text)
            case _:
                self._advance(event)
        if self.round.status is not before:
            _log.info("round status", round=event.round, before=before, now=self.round.status, cause=self.round.comment)
            self._kick()
        self._changed.set()

    async def save_changes(self) -> None:
        """Write to the catalog what the worker changed; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.round is not self._saved:
                await self._chronicle.write()  # who reads INTERRUPTED finds the hole
                async with self.statement:
                    now = self.round
                    try:
                        await asyncio.to_thread(self._catalog.save_round, now)
                        self._saved = now
                    except CatalogError as error:
                        _log.warning("catalog not written, trying again", cause=str(error))
                        self._changed.set()
            await asyncio.sleep(_SAVE_PAUSE)

    def parameters_changed(self) -> None:
        """Put into effect what was set: the codec from the next segment on, mode and limits at once."""
        self._set_codec()
        self._kick()

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _advance(self, event: RoundProgress | RoundTrouble | RoundFreezing) -> None:
        """Take over how far a tenant's round is, and what holds it up."""
        archive, now = self._archives[event.tenant_id], self.round
        match event:
            case RoundProgress():
                archive.durable_lsn = event.lsn
                now = rounds.progressed(now, event.tenant_id, event.scn, event.input_bytes, event.output_bytes)
            case RoundTrouble():
                archive.trouble = event.text
                now = rounds.troubled(now, event.tenant_id, event.text)
            case _:  # RoundFreezing
                archive.trouble = f"freezing: {event.done} of {event.total} objects read"
        self.round = now

    def _open_holes(self) -> None:
        """Put on record that log goes missing, of every tenant of the broken round."""
        now, round_id = time.time_ns(), self.round.round_id
        for key, archive in self._archives.items():
            tenant = self.round.tenants[key]
            lsn, scn = archive.durable_lsn or 0, tenant.checkpoint_scn
            self._chronicle.open_hole(Hole(key, round_id, lsn, scn, tenant.comment or self.round.comment, now))

    def _kick(self) -> None:
        for archive in self.archives:
            archive.kicked.set()

    def _set_codec(self) -> None:
        compression = self._parameters.log_archive_option.compression
        self._worker.send(SetCodec("none" if compression is Compression.OFF else str(compression)))

    def _launch(self, archive: TenantArchive) -> None:
        """Have the worker look after a tenant's round, as soon as its engine can say where to begin."""
        self._begin(self._tell_worker(archive, self.round))

    async def _tell_worker(self, archive: TenantArchive, of: Round) -> None:
        """Hold the tenant's log and send the worker its task; tried again while engine or catalog do not answer."""
        while True:
            try:
                await self._hold(archive, of)
                hole = self._chronicle.hole(archive.tenant.tenant_id, of.round_id)
                task = await asyncio.to_thread(round_task, self._cluster, archive.tenant, of, hole, self._catalog)
                break
            except (OSError, CatalogError) as error:
                _log.warning("round not begun, trying again", tenant=archive.tenant.name, cause=str(error))
                await asyncio.sleep(_RETRY_PAUSE)
        if self.round.round_id != of.round_id or self.round.status is RoundStatus.STOP:
            return  # the round was stopped meanwhile
        if self.round.status is RoundStatus.INTERRUPTED and not task.broken_by:
            return  # interrupted meanwhile, and told so
        self._worker.send(task)
        archive.is_told = True
        archive.commits.resend()
        if self.round.status is RoundStatus.STOPPING:
            self._worker.send(StopRound(task.tenant_id, task.round, STOP_PATIENCE))

    async def _hold(self, archive: TenantArchive, of: Round) -> None:
        """Hold a tenant's log from now on, if the round archives still. Raises OSError."""
        async with self.statement:  # so that nobody releases meanwhile what is held here
            if self.round.is_archiving and self.round.round_id == of.round_id:
                await asyncio.to_thread(archive.tenant.engine.hold_log)

    async def _force_stop(self, round_id: int) -> None:
        """End a stopping round whose worker does not: the medium may hang so that nothing comes back from it."""
        quiet = 0.0
        while quiet < STOP_PATIENCE + _WORKER_PATIENCE:
            await asyncio.sleep(STOP_PATIENCE + _WORKER_PATIENCE - quiet)
            quiet = time.monotonic() - self._heard_at
        if self.round.round_id != round_id or self.round.status is not RoundStatus.STOPPING:
            return
        _log.error("the worker does not stop the round, ending it without", round=round_id)
        for tenant_id, tenant in self.round.tenants.items():
            if tenant.status is not RoundStatus.STOP:
                self.worker_says(RoundStopped(tenant_id, round_id, "the destination did not answer in time"))
        self._worker.kill()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("background work failed", exc_info=task.exception())
