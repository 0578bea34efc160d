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
from typing import Any, Protocol

import structlog

from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.messages import (
    ArchiveRound,
    Command,
    Event,
    RoundBroken,
    RoundProgress,
    RoundStopped,
    RoundTrouble,
    SetCodec,
    StopRound,
)
from redoubt.archive.record import RecordError, dump_record, load_record
from redoubt.catalog.catalog import Catalog, CatalogError
from redoubt.control.cluster import Cluster, Tenant
from redoubt.control.parameters import Parameters
from redoubt.destinations.uri import UriError, open_destination
from redoubt.model import rounds
from redoubt.model.rounds import Round, RoundStatus
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError, ObjectMissingError
from redoubt.sql.errors import backup_dest_not_valid, log_archive_already_disabled, not_supported
from redoubt.sql.log_archive_option import Compression

_SAVE_PAUSE = 0.5
_RETRY_PAUSE = 0.5
STOP_PATIENCE = 20.0
"""Seconds that a stop may take to archive the log's end; then the round ends with what is durable."""
_WORKER_PATIENCE = 10.0
_HOLDING_NOTHING = frozenset({RoundStatus.STOP, RoundStatus.INTERRUPTED})
"""Statuses in which log is not held: a round that cannot go on must not fill the engine's disk."""
_log = structlog.get_logger("redoubt.control.archiving")


class WorkerLink(Protocol):
    """What is asked of the worker; `WorkerProcess` does it."""

    def send(self, command: Command) -> None:
        """Tell the worker."""

    def kill(self) -> None:
        """End a worker that does not answer."""


class Archiving:
    """The cluster's log archiving. All methods run on the event loop; what blocks is done in threads."""

    def __init__(
        self, cluster: Cluster, tenants: list[Tenant], catalog: Catalog, parameters: Parameters, worker: WorkerLink
    ) -> None:
        self._cluster = cluster
        self._tenants = {tenant.tenant_id: tenant for tenant in tenants}
        self._catalog = catalog
        self._parameters = parameters
        self._worker = worker
        self._statement = asyncio.Lock()
        self._changed = asyncio.Event()
        self._saved = Round()
        self._tasks: set[asyncio.Task[None]] = set()
        self.round = Round()
        """The present round, or the last one."""

    async def load(self) -> None:
        """Take over the round that the catalog has; the worker is told of it when it starts."""
        loaded = await asyncio.to_thread(self._catalog.load_round)
        assert loaded is not None, "the catalog has been prepared"
        self.round = self._saved = loaded
        if loaded.status in _HOLDING_NOTHING:
            await asyncio.to_thread(self._release_all)

    async def start(self) -> None:
        """`ALTER SYSTEM ARCHIVELOG`: begin a round. Raises SqlError."""
        async with self._statement:
            uri = self._parameters.backup_dest
            if not uri:
                raise backup_dest_not_valid("it is empty; set it first: ALTER SYSTEM SET backup_dest = 'file:///…'")
            if self.round.status is not RoundStatus.STOP:
                raise not_supported("start log archive backup when not STOP")
            await asyncio.to_thread(self._claim_destination, uri, self.round.round_id + 1)
            now = time.time_ns()
            begun = rounds.begin(
                self.round,
                tenants=list(self._tenants),
                start_scn=now,
                create_date=int(datetime.now().astimezone().strftime("%Y%m%d")),
                destination=uri,
            )
            await asyncio.to_thread(self._catalog.save_round, begun)
            self.round = self._saved = begun
            _log.info("round begins", round=begun.round_id, destination=uri)
            for tenant in self._tenants.values():
                self._launch(tenant)

    async def stop(self) -> None:
        """`ALTER SYSTEM NOARCHIVELOG`: stop the round. Raises SqlError."""
        async with self._statement:
            if self.round.status in {RoundStatus.STOP, RoundStatus.STOPPING}:
                raise log_archive_already_disabled()
            stopping = rounds.stopping(self.round)
            await asyncio.to_thread(self._catalog.save_round, stopping)
            self.round, self._saved = rounds.stopping(self.round), stopping  # the worker may have told something since
            self._changed.set()
            _log.info("round stops", round=stopping.round_id)
            for tenant in self._tenants.values():
                self._worker.send(StopRound(tenant.tenant_id, self.round.round_id, STOP_PATIENCE))
            self._begin(self._force_stop(stopping.round_id))

    async def check_new_destination(self, uri: str) -> None:
        """Whether `backup_dest` may become `uri` now. Raises SqlError."""
        await asyncio.to_thread(self._check_new_destination, uri)

    def worker_started(self) -> None:
        """See `Listener`: tell the new worker everything."""
        self.set_codec(self._parameters.log_archive_option.compression)
        if self.round.is_archiving or self.round.status is RoundStatus.STOPPING:
            for tenant in self._tenants.values():
                self._launch(tenant)

    def worker_says(self, event: Event) -> None:
        """See `Listener`."""
        if event.round != self.round.round_id or event.tenant_id not in self.round.tenants:
            return  # an answer that comes too late
        before = self.round.status
        match event:
            case RoundProgress():
                self._progressed(event)
            case RoundTrouble():
                self.round = rounds.troubled(self.round, event.tenant_id, event.text)
            case RoundBroken():
                self.round = rounds.interrupted(self.round, event.tenant_id, event.text)
                if self.round.status is RoundStatus.STOPPING:
                    self.round = rounds.tenant_stopped(self.round, event.tenant_id)
            case RoundStopped():
                if self.round.status is RoundStatus.STOPPING:
                    self.round = rounds.tenant_stopped(self.round, event.tenant_id, event.text)
        if self.round.status is not before:
            self._status_changed(before)
        self._changed.set()

    async def save_changes(self) -> None:
        """Write to the catalog what the worker changed; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.round is not self._saved:
                async with self._statement:
                    now = self.round
                    try:
                        await asyncio.to_thread(self._catalog.save_round, now)
                        self._saved = now
                    except CatalogError as error:
                        _log.warning("catalog not written, trying again", cause=str(error))
                        self._changed.set()
            await asyncio.sleep(_SAVE_PAUSE)

    def set_codec(self, compression: Compression) -> None:
        """Compress with this from the next segment on."""
        codec = "none" if compression is Compression.OFF else str(compression)
        self._worker.send(SetCodec(codec))

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _progressed(self, event: RoundProgress) -> None:
        self.round = rounds.progressed(self.round, event.tenant_id, event.scn, event.input_bytes, event.output_bytes)
        if event.segments:
            self._begin(asyncio.to_thread(self._tenants[event.tenant_id].engine.release_log, event.lsn))

    def _status_changed(self, before: RoundStatus) -> None:
        now = self.round
        _log.info("round status", round=now.round_id, before=before, now=now.status, cause=now.comment)
        if now.status in _HOLDING_NOTHING:
            self._begin(asyncio.to_thread(self._release_all))

    def _launch(self, tenant: Tenant) -> None:
        """Have the worker archive a tenant, as soon as its engine can say where to begin."""
        self._begin(self._tell_worker(tenant, self.round))

    async def _tell_worker(self, tenant: Tenant, of: Round) -> None:
        """Hold the tenant's log and send the worker its task; tried again while the engine does not answer."""
        start_lsn: int | None = None
        while True:
            try:
                await asyncio.to_thread(tenant.engine.hold_log)
                source = await asyncio.to_thread(tenant.engine.source_id)
                if of.tenants[tenant.tenant_id].checkpoint_scn == 0:
                    start_lsn = (await asyncio.to_thread(tenant.engine.start_point)).lsn
                break
            except OSError as error:
                _log.warning("engine not ready, trying again", tenant=tenant.name, cause=str(error))
                await asyncio.sleep(_RETRY_PAUSE)
        if self.round.round_id != of.round_id or self.round.status in _HOLDING_NOTHING:
            await asyncio.to_thread(tenant.engine.release_all_log)  # the round was stopped meanwhile
            return
        self._worker.send(
            ArchiveRound(
                tenant_id=tenant.tenant_id,
                tenant=tenant.name,
                base_dir=str(tenant.base_dir),
                source=source,
                destination=of.destination,
                cluster=self._cluster.name,
                cluster_id=self._cluster.cluster_id,
                identity=self._cluster.identity,
                round=of.round_id,
                piece=0,
                start_scn=of.start_scn,
                start_lsn=start_lsn,
            )
        )
        if self.round.status is RoundStatus.STOPPING:
            self._worker.send(StopRound(tenant.tenant_id, self.round.round_id, STOP_PATIENCE))

    async def _force_stop(self, round_id: int) -> None:
        """End a stopping round whose worker does not: the medium may hang so that nothing comes back from it."""
        await asyncio.sleep(STOP_PATIENCE + _WORKER_PATIENCE)
        if self.round.round_id != round_id or self.round.status is not RoundStatus.STOPPING:
            return
        _log.error("the worker does not stop the round, ending it without", round=round_id)
        for tenant_id, tenant in self.round.tenants.items():
            if tenant.status is not RoundStatus.STOP:
                self.worker_says(RoundStopped(tenant_id, round_id, "the destination did not answer in time"))
        self._worker.kill()

    def _claim_destination(self, uri: str, round_id: int) -> None:
        """See that the destination works and is ours, or make it so. Raises SqlError."""
        destination = _open(uri)
        path = ClusterPath(self._cluster.name, self._cluster.cluster_id)
        ours = ClusterInfo(self._cluster.name, self._cluster.cluster_id, self._cluster.identity)
        try:
            destination.probe()
            try:
                destination.put_if_absent(path.info, dump_record(ours, indent=2))
            except ObjectExistsError:
                if load_record(ClusterInfo, destination.get(path.info)) != ours:
                    raise backup_dest_not_valid(
                        f"{uri} holds the archive of another cluster of the same name and number ({path}); "
                        "choose an empty directory"
                    ) from None
            for tenant in self._tenants.values():
                folder = path.round(tenant.tenant_id, round_id).folder
                if any(True for _ in destination.list(folder)):
                    raise backup_dest_not_valid(f"{uri} holds something in {folder} already; choose an empty directory")
        except (DestinationError, RecordError) as error:
            raise backup_dest_not_valid(str(error)) from error

    def _check_new_destination(self, uri: str) -> None:
        destination = _open(uri)
        path = ClusterPath(self._cluster.name, self._cluster.cluster_id)
        try:
            destination.probe()
            destination.get(path.info)
        except ObjectMissingError:
            return
        except DestinationError as error:
            raise backup_dest_not_valid(str(error)) from error
        raise backup_dest_not_valid(f"{uri} holds a log archive already ({path.info}); choose an empty directory")

    def _release_all(self) -> None:
        for tenant in self._tenants.values():
            tenant.engine.release_all_log()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("background work failed", exc_info=task.exception())


def _open(uri: str) -> Destination:
    try:
        return open_destination(uri)
    except UriError as error:
        raise backup_dest_not_valid(str(error)) from error
