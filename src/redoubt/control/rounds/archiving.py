"""Runs the cluster's rounds: statements start and stop a round; events of the archive worker advance the round.

The pure functions of `model.rounds` change the round; the `RoundBook` keeps the round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from redoubt.catalog.catalog import Catalog
from redoubt.control.cluster import SYS_TENANT_ID, Cluster, Tenant
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.parameters.parameter_list import LAG_TARGET
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.claims import works
from redoubt.control.rounds.destinations import Destinations
from redoubt.control.rounds.orders import Orders
from redoubt.control.rounds.piece_tasks import WorkerLink
from redoubt.control.rounds.round_book import RoundBook
from redoubt.control.rounds.worker_events import apply_event
from redoubt.messages.archiving import Configure, Event
from redoubt.model import rounds
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus
from redoubt.sql.errors import (
    backup_dest_not_valid,
    commit_interrupted,
    log_archive_already_disabled,
    not_supported,
)
from redoubt.sql.log_archive_option import Compression, Encryption

STOP_PATIENCE = 20.0
"""Default seconds for a stop to archive the end of the log; after that the round ends with the durable log."""
_WORKER_PATIENCE = 10.0
_HOLDING_NOTHING = frozenset({RoundStatus.STOP, RoundStatus.INTERRUPTED})
"""Statuses without held log: a round that cannot continue must not fill the engine's disk."""
_SILENT = "the destination did not answer in time"
_log = structlog.get_logger("redoubt.control.rounds.archiving")


class Archiving:
    """The cluster's log archiving. All methods run on the event loop; blocking calls run in threads."""

    def __init__(
        self,
        cluster: Cluster,
        tenants: list[Tenant],
        catalog: Catalog,
        parameters: Parameters,
        worker: WorkerLink,
        chronicle: Chronicle,
        home: Path,
        stop_patience: float = STOP_PATIENCE,
    ) -> None:
        self._cluster = cluster
        self._stop_patience = stop_patience
        self._chronicle = chronicle
        self._catalog = catalog
        self._parameters = parameters
        self._worker = worker
        self._book = RoundBook(catalog, chronicle)
        self._statement = self._book.statement
        self._archives = {tenant.tenant_id: self._archive_of(tenant) for tenant in tenants}
        self._orders = Orders(cluster, catalog, worker, chronicle, lambda: self.round, self._statement, stop_patience)
        self._questions = DestinationQuestions()
        directories = lambda: {each.tenant.name: each.tenant.base_dir for each in self.archives}  # noqa: E731
        self.destinations = Destinations(cluster, catalog, lambda: parameters.backup_dest, home, directories)
        self._heard_at = 0.0

    @property
    def round(self) -> Round:
        """The current round, or the last one."""
        return self._book.round

    @property
    def archives(self) -> list[TenantArchive]:
        """The archive of each tenant."""
        return list(self._archives.values())

    @property
    def statement(self) -> asyncio.Lock:
        """The lock of statements that must not run at the same time as ARCHIVELOG or NOARCHIVELOG."""
        return self._statement

    async def load(self) -> None:
        """Load the round from the catalog. The worker is told of the round when the worker starts."""
        loaded = await self._book.load()
        await self._chronicle.load()
        self._open_holes()
        if loaded.status is RoundStatus.STOPPING:
            self._heard_at = time.monotonic()
            self._orders.begin(self._force_stop(loaded.round_id))
        for tenant_id in loaded.tenants if loaded.is_archiving else ():
            if (hole := self._chronicle.hole(tenant_id, loaded.round_id)) is not None:
                self.interrupt(tenant_id, hole.cause)  # interrupted before, but only the hole was written

    async def start(self) -> None:
        """`ALTER SYSTEM ARCHIVELOG`: begin a round. Raises SqlError."""
        async with self._statement:
            uri = self._parameters.backup_dest
            if not uri:
                raise backup_dest_not_valid(
                    "backup_dest is empty; run ALTER SYSTEM SET backup_dest = 'file:///…' first"
                )
            if self.round.status is not RoundStatus.STOP:
                raise not_supported("start log archive backup when not STOP")
            if self._parameters.is_deferred:
                raise not_supported(
                    "start log archive backup while log_archive_dest_state is DEFER",
                    "run ALTER SYSTEM SET log_archive_dest_state = 'ENABLE'",
                )
            begun = rounds.begin(
                self.round,
                tenants=list(self._archives),
                start_scn=time.time_ns(),
                create_date=_today(),
                destination=uri,
                has_pieces=self._parameters.piece_switch_interval > 0,
            )
            key = begun.pieces[0].key(begun.round_id)
            await self.destinations.claim(uri, list(begun.tenants), key)
            await self._book.begin(begun)
            _log.info("round started", round=begun.round_id, destination=uri)
            for archive in self.archives:
                archive.begin_round()
                self._orders.launch(archive)
            self._kick()

    async def stop(self) -> None:
        """`ALTER SYSTEM NOARCHIVELOG`: stop the round. Raises SqlError."""
        async with self._statement:
            if self.round.status in {RoundStatus.STOP, RoundStatus.STOPPING}:
                raise log_archive_already_disabled()
            await self._change(rounds.stopping)
            _log.info("round is stopping", round=self.round.round_id)
            self._heard_at = time.monotonic()
            await asyncio.gather(*(archive.note_end() for archive in self.archives))
            for archive in self.archives:
                self._orders.stop(archive)
            self._orders.begin(self._force_stop(self.round.round_id))

    async def cancel(self) -> None:
        """`ALTER SYSTEM CANCEL ALL BACKUP FORCE`: end the round at once, without the destination."""
        async with self._statement:
            if self.round.status is RoundStatus.STOP:
                return
            self._end_worker()
            await self._change(_cancelled)
            _log.warning("round cancelled", round=self.round.round_id)

    async def switch_piece(self) -> None:
        """Switch the round to a new piece, if `may_switch` allows. Raises CatalogError."""
        async with self._statement:
            if not rounds.may_switch(self.round):
                return
            scn, today = time.time_ns(), _today()
            await self._change(lambda now: rounds.switched(now, scn, today))
            _log.info("piece switched", round=self.round.round_id, piece=self.round.last_piece_id)
            for archive in self.archives:
                self._orders.switch(archive)

    async def add_tenant(self, tenant: Tenant) -> None:
        """Add a new tenant; a running round archives the tenant too. Raises CatalogError."""
        async with self._statement:
            self._archives[tenant.tenant_id] = archive = self._archive_of(tenant)
            if self.round.is_archiving:
                scn = time.time_ns()
                await self._change(lambda now: rounds.joined(now, tenant.tenant_id, scn))
                self._open_holes()  # if the round broke meanwhile
                self._orders.launch(archive)

    async def drop_tenant(self, tenant_id: int, *, force: bool) -> None:
        """Remove a tenant: archive its log to the end, or with `force` end at once. Raises CatalogError."""
        archive = self._archives[tenant_id]
        patience = 0.0 if force else self._stop_patience
        if self.round.open_pieces(tenant_id):
            archive.gone = asyncio.get_running_loop().create_future()
            self._orders.stop(archive, patience)
            try:
                async with asyncio.timeout(patience + _WORKER_PATIENCE):
                    await archive.gone
            except TimeoutError:
                _log.error(
                    "the worker does not release a dropped tenant, killing the worker", tenant=archive.tenant.name
                )
                self._worker.kill()
        async with self._statement:
            gone = self.round.tenants.get(tenant_id)
            if gone is not None and self.round.status is not RoundStatus.STOP:
                await asyncio.to_thread(self._catalog.save_departure, self.round, gone)
                await self._change(lambda now: rounds.left(now, tenant_id))
            del self._archives[tenant_id]
            await asyncio.to_thread(archive.tenant.engine.release_all_log)

    def interrupt(self, tenant_id: int, cause: str) -> None:
        """Break a tenant's part of the round: its log cannot be archived. Records the hole. The others go on."""
        was_archiving = self.round.is_archiving_of(tenant_id)
        self._book.round = rounds.interrupted(self.round, tenant_id, cause)
        self._book.note()
        if not was_archiving:
            return
        _log.error("round interrupted", round=self.round.round_id, tenant_id=tenant_id, cause=cause)
        self._open_holes()
        if (archive := self._archives.get(tenant_id)) is not None:
            archive.told.clear()
            archive.commits.turn_off(commit_interrupted(cause))  # before a stop of the round releases the commits
            self._orders.launch(archive)
        self._kick()

    async def release_all_log(self, archive: TenantArchive) -> None:
        """Release all held log of a tenant, unless a round has begun meanwhile."""
        async with self._statement:
            if self.round.status_of(archive.tenant.tenant_id) in _HOLDING_NOTHING:
                await asyncio.to_thread(archive.tenant.engine.release_all_log)

    async def destination_works(self) -> bool:
        """Whether the current round's destination stores objects now. Raises SqlError."""
        return await self._questions.ask(self.round.destination, works, self.round.destination)

    def cluster_event(self, what: str, before: str, after: str, cause: str) -> None:
        """Record a change that concerns the whole cluster."""
        self._chronicle.event(SYS_TENANT_ID, self.round.round_id, what, before, after, cause)

    def worker_started(self) -> None:
        """See `Listener`: send everything to the new worker."""
        self._configure()
        for archive in self.archives:
            archive.troubles.clear()  # a new worker reports its own
            archive.told.clear()
            tenant_id = archive.tenant.tenant_id
            if tenant_id in self.round.tenants and self.round.is_archiving_of(tenant_id):
                self._book.round = rounds.troubled(self.round, tenant_id, "")
                self._book.note()
        if self.round.status is not RoundStatus.STOP:
            for archive in self.archives:
                self._orders.launch(archive)

    def worker_says(self, event: Event) -> None:
        """See `Listener`."""
        archive = self._archives.get(event.tenant_id)
        is_over = event.round != self.round.round_id or self.round.status is RoundStatus.STOP
        if archive is None or is_over or event.tenant_id not in self.round.tenants:
            return  # a late event
        self._heard_at = time.monotonic()
        before = self.round.status
        self._book.round, then = apply_event(event, self.round, archive, self._chronicle)
        if then.broken_by:
            self.interrupt(event.tenant_id, then.broken_by)
        if then.has_new_piece:
            self._orders.launch(archive)
        if then.is_quiet:
            return
        if self.round.status is not before:
            _log.info("round status", round=event.round, before=before, now=self.round.status, cause=self.round.comment)
            self._kick()
        self._book.note()

    async def save_changes(self) -> None:
        """Write the worker's changes to the catalog; runs until cancelled."""
        await self._book.write()

    def tick(self) -> None:
        """Advance the checkpoint of a round without tenants to now."""
        self._book.round = rounds.ticked(self.round, time.time_ns())
        self._book.note()

    def parameters_changed(self) -> None:
        """Apply changed parameters: the codec from the next segment on, mode and limits at once."""
        self._configure()
        self._kick()

    async def close(self) -> None:
        """End the background tasks."""
        await self._orders.close()

    async def _change(self, change: Callable[[Round], Round]) -> None:
        await self._book.change(change)
        self._kick()

    def _end_worker(self) -> None:
        """Kill a worker that does not answer, and forget its troubles."""
        self._worker.kill()
        for archive in self.archives:
            archive.troubles.clear()

    def _archive_of(self, tenant: Tenant) -> TenantArchive:
        return TenantArchive(tenant, lambda: self.round.round_id, self._worker.send, self._chronicle)

    def _open_holes(self) -> None:
        """Open a hole for every tenant that is INTERRUPTED."""
        now, round_id = time.time_ns(), self.round.round_id
        for tenant in self.round.broken:
            archive = self._archives.get(tenant.tenant_id)
            lsn = archive.durable_lsn or 0 if archive else 0
            cause = tenant.comment or self.round.comment
            self._chronicle.open_hole(Hole(tenant.tenant_id, round_id, lsn, tenant.checkpoint_scn, cause, now))

    def _kick(self) -> None:
        for archive in self.archives:
            archive.kicked.set()

    def _configure(self) -> None:
        option = self._parameters.log_archive_option
        codec = "none" if option.compression is Compression.OFF else str(option.compression)
        encrypts = option.encryption is not Encryption.NONE
        longest = min(self._parameters.checkpoint_interval, self._parameters.seconds(LAG_TARGET) / 2)
        self._worker.send(Configure(codec, longest, self._parameters.concurrency, encrypts))

    async def _force_stop(self, round_id: int) -> None:
        """End a stopping round if the worker does not end it: the worker may be stuck in uninterruptible I/O."""
        quiet = 0.0
        while quiet < (patience := self._stop_patience + _WORKER_PATIENCE):
            await asyncio.sleep(patience - quiet)
            quiet = time.monotonic() - self._heard_at
        if self.round.round_id != round_id or self.round.status is not RoundStatus.STOPPING:
            return
        _log.error("the worker does not stop the round, ending the round without the worker", round=round_id)
        self._book.round = rounds.all_stopped(self.round, _SILENT)
        self._end_worker()
        self._book.note()
        self._kick()


def _cancelled(now: Round) -> Round:
    if now.status is RoundStatus.STOP:
        return now
    if now.status is not RoundStatus.STOPPING:
        now = rounds.stopping(now)
    return rounds.all_stopped(now, "cancelled by ALTER SYSTEM CANCEL ALL BACKUP FORCE")


def _today() -> int:
    return int(datetime.now().astimezone().strftime("%Y%m%d"))
