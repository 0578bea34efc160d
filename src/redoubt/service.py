"""The service: builds the parts, connects them, starts and stops them in order. The composition root."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog

from redoubt.archive.master_keys import name_sources
from redoubt.catalog.backups import Backups
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.cleaning import Cleaning
from redoubt.catalog.journal import Journal
from redoubt.catalog.restores import RestoreJobs
from redoubt.catalog.second_backups import SecondBackupTable
from redoubt.catalog.session import CatalogError, CatalogSession
from redoubt.catalog.set_table import SetTable
from redoubt.catalog.standbys import StandbyTable
from redoubt.catalog.tenants import TenantStatus, TenantTable
from redoubt.config import Config, GatewaySection
from redoubt.control.background import Background
from redoubt.control.backups.clean_work import CleanWork
from redoubt.control.backups.clock_watch import ClockWatch
from redoubt.control.backups.data_backups import DataBackups
from redoubt.control.backups.deletion import Deletion
from redoubt.control.backups.holds import Holds
from redoubt.control.backups.second_backups import SecondBackups
from redoubt.control.cluster import SYS_TENANT, Cluster, Tenant
from redoubt.control.destination_keys import DestinationKeys
from redoubt.control.job_process import run_job
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.valve import Valve
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.restores.restore_planning import RestorePlanning
from redoubt.control.restores.restores import Restores
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.rounds.auto_restart import AutoRestart
from redoubt.control.rounds.piece_switch import PieceSwitch
from redoubt.control.rounds.worker_process import WorkerProcess
from redoubt.control.standbys.standbys import Standbys
from redoubt.control.statements.handler import Handler
from redoubt.control.statements.settings import Settings
from redoubt.control.tenants.register import Register
from redoubt.control.tenants.tenants import Tenants
from redoubt.destinations.access import ACCESS_FILE, AccessFile
from redoubt.directory import Directory
from redoubt.engine_room import EngineRoom
from redoubt.engines.registry import engine_kind
from redoubt.gateway.places import Places
from redoubt.gateway.server import Gateway
from redoubt.gateway.tls import Tls, load_tls
from redoubt.home import Home, HomeError, Running
from redoubt.metrics import MetricsServer
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.keeping import EngineSizes, EngineStartError, OpenDoorError

_READY_TIMEOUT = 120.0
_POLL = 0.05
_THREADS = 128
"""The most threads that wait for engines and disks: some for one that hangs, and still enough for all others."""
_DESCRIPTORS = 16384
"""The number of descriptors that is enough for all clients and tenants."""
_log = structlog.get_logger("redoubt.service")


class Service:
    """A cluster: the sys engine, the user tenants' engines, the gateway and the archive worker."""

    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._config = config
        self._tls = _tls(config.gateway)
        is_exposed = not (_is_loopback(config.gateway.host) or config.gateway.allow_empty_password)
        sizes = EngineSizes(config.engine.memory_budget, config.engine.log_disk_size)
        self._descriptors = _allowed_descriptors()
        self._say: Callable[[str], None] = lambda _: None
        self._background = Background()
        self._room = EngineRoom(home, sizes, self._background, engine_kind, is_exposed=is_exposed)
        self._sys_kind = engine_kind(SEEKDB)
        self._session = CatalogSession(lambda: self._sys_kind.connect(home.sys.path))
        self._catalog = Catalog(self._session)
        self._parameters = Parameters(self._catalog, lambda: shutil.disk_usage(home.path).total)
        self._register = Register(TenantTable(self._session), self._room)
        self._chronicle = Chronicle(Journal(self._session))
        self._worker = WorkerProcess(home.path, config.archive.segment_size, config.archive.segment_age)

    async def run(
        self, ready: Callable[[str, int], None], stop: asyncio.Event, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Serve until `stop` is set; `ready(host, port)` is called when statements are accepted.

        `say` receives a line of text for each step of the start.
        """
        self._say = say
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="service"))
        async with AsyncExitStack() as ends:
            address = await self._start(ends)
            self._background.changed = partial(self._announce, *address)
            self._background.changed()
            ends.callback(self._home.withdraw)
            _log.info("ready", host=address[0], port=address[1], pid=os.getpid())
            ready(*address)
            await stop.wait()
            self._background.changed = lambda: None
            _log.info("stopping")
        _log.info("stopped")

    async def _start(self, ends: AsyncExitStack) -> tuple[str, int]:
        """Start all parts in the order of their needs; `ends` stops them in reverse order. Returns the address."""
        os.environ[ACCESS_FILE] = str(self._home.access)  # also for the worker and the jobs
        name_sources(self._config.encryption.master_key, self._config.encryption.former_master_keys)
        ends.push_async_callback(self._room.stop)
        ends.push_async_callback(asyncio.to_thread, self._session.close)
        ends.push_async_callback(self._background.stop)
        if not self._sys_kind.confinement:
            _log.warning("engines are not confined: users with the FILE privilege reach every file of this service")
        self._say("starting the engine of sys")
        await self._start_sys()
        self._say("opening the catalog")
        await self._ask_catalog(self._open_catalog)
        entries = self._register.entries
        unready = [
            entry.tenant for entry in entries if entry.record.status is TenantStatus.RESTORING or entry.is_standby
        ]
        present = [entry.tenant for entry in entries if entry.tenant not in unready]
        self._say(f"waiting for the engines of {len(present)} tenants: {', '.join(each.name for each in present)}")
        await self._room.settle(present, unready)
        self._refuse_open_doors(present)
        config = self._config
        cluster = Cluster(config.cluster.name, config.cluster.id, self._home.identity())
        archiving = Archiving(
            cluster,
            present,
            self._catalog,
            self._parameters,
            self._worker,
            self._chronicle,
            self._home.path,
            config.archive.stop_patience,
        )
        ends.push_async_callback(self._chronicle.write)
        ends.push_async_callback(archiving.close)
        ends.push_async_callback(self._background.stop)
        ends.push_async_callback(self._worker.stop)
        backups, cleaning = Backups(self._session), Cleaning(self._session)
        clock = ClockWatch(self._home.clock)
        deletion = Deletion(cluster, archiving, self._parameters, backups, cleaning, clock)
        ends.push_async_callback(deletion.close)
        data_backups = DataBackups(
            cluster, archiving, self._parameters, SetTable(self._session), CleanWork(cluster, cleaning), run_job
        )
        ends.push_async_callback(data_backups.close)
        await self._ask_catalog(archiving.load)
        await self._ask_catalog(data_backups.load)
        valve = Valve(archiving, self._parameters, self._chronicle, self._room.own_trouble)
        await valve.recover()
        tenants = Tenants(self._register, self._room, archiving, valve, self._chronicle, self._background)
        for name, work in (
            ("archive worker", lambda: self._worker.run(archiving)),
            ("progress of archiving", archiving.save_changes),
            ("journal", valve.write),
            ("log_archive_auto_restart", AutoRestart(archiving, self._parameters).run),
            ("switch of pieces", PieceSwitch(archiving, self._parameters).run),
            ("deletion of backups", deletion.run),
            ("data backups", data_backups.run),
            ("register of tenants", self._register.write),
        ):
            self._background.keep(name, work)
        await tenants.start()
        keys = DestinationKeys(AccessFile(self._home.access))
        standbys, restores = await self._standbys_and_restores(ends, cluster, tenants, keys)
        deletion.work.needed = lambda: restores.reads
        await self._ask_catalog(deletion.load)  # after the restores, which need their backups
        self._serve_metrics(ends, MetricsServer(archiving, data_backups))
        settings = Settings(tenants, archiving, self._parameters, keys)
        second = await self._second_backups(ends, cluster, archiving, backups)
        holds = Holds(archiving, backups, SetTable(self._session))
        handler = Handler(tenants, archiving, settings, deletion, data_backups, restores, keys, second, holds, standbys)
        return await self._open_gateway(ends, tenants, archiving, handler)

    async def _standbys_and_restores(
        self, ends: AsyncExitStack, cluster: Cluster, tenants: Tenants, keys: DestinationKeys
    ) -> tuple[Standbys, Restores]:
        """The standbys, which follow again, and the restores; one that the last service left goes on."""
        standbys = Standbys(tenants, self._room, StandbyTable(self._session), keys)
        ends.push_async_callback(standbys.close)
        await self._ask_catalog(standbys.load)
        self._background.keep("standbys", standbys.write)
        planning = RestorePlanning(cluster, self._parameters, engine_kind)
        restores = Restores(planning, tenants, self._room, standbys, RestoreJobs(self._session))
        ends.push_async_callback(restores.close)
        await self._ask_catalog(restores.load)
        return standbys, restores

    async def _second_backups(
        self, ends: AsyncExitStack, cluster: Cluster, archiving: Archiving, backups: Backups
    ) -> SecondBackups:
        """The second backups; a job that the last service left goes on."""
        table = SecondBackupTable(self._session)
        second = SecondBackups(cluster, archiving, self._parameters, backups, table, run_job)
        ends.push_async_callback(second.close)
        await self._ask_catalog(second.load)
        return second

    async def _open_gateway(
        self, ends: AsyncExitStack, tenants: Tenants, archiving: Archiving, handler: Handler
    ) -> tuple[str, int]:
        """Let clients in. Returns the address."""
        config = self._config
        sys_socket = self._sys_kind.socket(self._home.sys.path)
        directory = Directory(
            config.cluster.name,
            sys_socket,
            tenants,
            archiving,
            self._room.is_open_door,
            engine_kind,
            allows_empty_password=config.gateway.allow_empty_password,
        )
        gateway = Gateway(directory, handler, tls=self._tls, places=Places.of(self._descriptors))
        ends.push_async_callback(gateway.stop)
        self._room.gateway_ids = gateway.engine_ids
        address = await _listen(gateway, config.gateway.host, config.gateway.port)
        await self._ask_catalog(lambda: asyncio.to_thread(self._catalog.set_server, *address))
        return address

    def _announce(self, host: str, port: int) -> None:
        self._home.announce(Running(os.getpid(), host, port, self._sys_kind.confinement, self._background.troubles))

    async def _start_sys(self) -> None:
        try:
            await self._room.start_sys()
        except OpenDoorError as error:
            raise self._open_door(SYS_TENANT) from error

    async def _open_catalog(self) -> None:
        await asyncio.to_thread(self._catalog.prepare)
        await asyncio.to_thread(self._parameters.load)
        await self._register.load()

    async def _ask_catalog(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which needs the catalog, and retry: an engine that recovers from a crash answers late."""
        deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT
        while True:
            try:
                await work()
            except CatalogError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise EngineStartError(f"{error} (directory {self._home.sys.path})") from error
                _log.warning("the catalog does not answer, retrying", cause=str(error))
                await asyncio.sleep(_POLL)
            else:
                return

    def _serve_metrics(self, ends: AsyncExitStack, metrics: MetricsServer) -> None:
        host, port = self._config.metrics.host, self._config.metrics.port
        if port is None:
            return
        ends.push_async_callback(asyncio.to_thread, metrics.stop)
        try:
            port = metrics.start(host, port)
        except OSError as error:
            raise HomeError(f"cannot serve metrics on {host}:{port}: {error}; choose another [metrics] port") from error
        _log.info("serving metrics", url=f"http://{host}:{port}/metrics")

    def _refuse_open_doors(self, tenants: list[Tenant]) -> None:
        """Raise HomeError if anybody on the network could log in as root."""
        for tenant in tenants:
            if self._room.is_open_door(tenant):
                raise self._open_door(tenant.name)

    def _open_door(self, name: str) -> HomeError:
        host = self._config.gateway.host
        return HomeError(
            f"root@{name} has no password, and {host} can be reached from other machines: start on 127.0.0.1, "
            f"run ALTER USER root IDENTIFIED BY '…' as root@{name}, and start again; or set allow_empty_password"
        )


async def _listen(gateway: Gateway, host: str, port: int) -> tuple[str, int]:
    try:
        return await gateway.start(host, port)
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise HomeError(f"cannot listen on {host}:{port}: {cause}; choose another --port") from error


def _tls(section: GatewaySection) -> Tls | None:
    """The gateway's TLS, None without a certificate. Warns if the gateway then listens for other machines.

    Raises TlsError.
    """
    if section.tls_certificate and section.tls_key:
        return load_tls(Path(section.tls_certificate), Path(section.tls_key), required=section.require_tls)
    if not _is_loopback(section.host):
        _log.warning("clients on other machines cannot use TLS: set tls_certificate and tls_key", host=section.host)
    return None


def _allowed_descriptors() -> int:
    """Raise the number of descriptors that this process may open, if the system lets it; returns the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
