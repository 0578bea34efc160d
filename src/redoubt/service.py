"""The service: builds the parts, hands them to each other, starts and stops them in order. The composition root."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from redoubt.catalog.catalog import Catalog
from redoubt.catalog.journal import Journal
from redoubt.catalog.session import CatalogError, CatalogSession
from redoubt.config import Config
from redoubt.control.archiving import Archiving
from redoubt.control.chronicle import Chronicle
from redoubt.control.cluster import SYS_TENANT, Cluster, Tenant
from redoubt.control.gate import TenantGate
from redoubt.control.handler import Handler
from redoubt.control.parameters import Parameters
from redoubt.control.restart import AutoRestart
from redoubt.control.switching import PieceSwitch
from redoubt.control.tenants import Tenants
from redoubt.control.valve import Valve
from redoubt.control.worker import WorkerProcess
from redoubt.engines.seekdb.account import AccountError, accepts_empty_root, connect, ensure_account
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import EngineSizes, EngineStartError, Instance
from redoubt.gateway.seams import WriteGate
from redoubt.gateway.server import Gateway
from redoubt.home import Home, HomeError, Running
from redoubt.metrics import MetricsServer

MAIN_TENANT_ID = 1001
MAIN_TENANT = "main"

_READY_TIMEOUT = 120.0
_POLL = 0.05
_WATCH_PAUSE = 0.2
_HOLD_PAUSE = 0.25
_LONGEST_RESTART_PAUSE = 10.0
_log = structlog.get_logger("redoubt.service")


class Service:
    """A cluster: the sys engine, the user tenants' engines, the gateway and the archive worker."""

    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._config = config
        sizes = EngineSizes(config.engine.memory_budget, config.engine.log_disk_size)
        main = SeekdbEngine(home.tenant(MAIN_TENANT_ID))
        self._engines = [main]
        self._bases = {SYS_TENANT: home.sys, MAIN_TENANT: main.base}
        self._instances = {name: Instance(base, sizes) for name, base in self._bases.items()}
        tenants = [Tenant(MAIN_TENANT_ID, MAIN_TENANT, main.base.path, main)]
        self._session = CatalogSession(lambda: connect(home.sys))
        self._catalog = Catalog(self._session)
        self._parameters = Parameters(self._catalog, lambda: shutil.disk_usage(home.path).total)
        self._worker = WorkerProcess(home.path, config.archive.segment_size, config.archive.segment_age)
        cluster = Cluster(config.cluster.name, config.cluster.id, home.identity())
        self._chronicle = chronicle = Chronicle(Journal(self._session))
        self._archiving = Archiving(cluster, tenants, self._catalog, self._parameters, self._worker, chronicle)
        self._valve = Valve(self._archiving, self._parameters, chronicle)
        handler = Handler(Tenants(tenants), self._archiving, self._parameters)
        gates = {archive.tenant.name: archive.gate for archive in self._archiving.archives}
        self._metrics = MetricsServer(self._archiving)
        self._gateway = Gateway(Directory(config.cluster.name, self._bases, gates), handler)
        self._background: list[asyncio.Task[None]] = []
        self._stopping = threading.Event()

    async def run(self, ready: Callable[[str, int], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set; `ready(host, port)` is called when statements are accepted."""
        try:
            await self._start(ready)
            stopped = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([stopped, *self._background], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            for task in done:
                await task  # what runs in the background never ends by itself: if it failed, so has the service
        finally:
            await self._stop()

    async def _start(self, ready: Callable[[str, int], None]) -> None:
        holding = threading.Thread(target=self._keep_holding, name="hold-log", daemon=True)
        holding.start()
        await asyncio.gather(*(self._start_engine(name) for name in self._instances))
        host = self._config.gateway.host
        if not _is_loopback(host) and not self._config.gateway.allow_empty_password:
            await asyncio.to_thread(self._refuse_empty_passwords, host)
        await self._ask_catalog(self._open_catalog)
        await self._valve.recover()
        address = await self._listen(host, self._config.gateway.port)
        await self._ask_catalog(lambda: asyncio.to_thread(self._catalog.set_server, *address))
        self._serve_metrics()
        self._background = [
            asyncio.create_task(self._worker.run(self._archiving)),
            asyncio.create_task(self._archiving.save_changes()),
            asyncio.create_task(self._valve.write()),
            asyncio.create_task(AutoRestart(self._archiving, self._parameters).run()),
            asyncio.create_task(PieceSwitch(self._archiving, self._parameters).run()),
            *(asyncio.create_task(self._valve.watch(archive)) for archive in self._archiving.archives),
            *(asyncio.create_task(self._watch(name)) for name in self._instances),
        ]
        self._home.announce(Running(os.getpid(), *address))
        _log.info("ready", host=address[0], port=address[1], pid=os.getpid())
        ready(*address)

    async def _stop(self) -> None:
        """Stop what takes work first, what others need last."""
        _log.info("stopping")
        self._home.withdraw()
        await self._gateway.stop()
        await asyncio.to_thread(self._metrics.stop)
        await self._worker.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._archiving.close()
        await self._chronicle.write()
        self._stopping.set()
        await asyncio.to_thread(self._session.close)
        for engine in self._engines:
            await asyncio.to_thread(engine.close)
        await asyncio.gather(*(asyncio.to_thread(instance.stop) for instance in self._instances.values()))
        _log.info("stopped")

    async def _open_catalog(self) -> None:
        await asyncio.to_thread(self._catalog.prepare)
        await asyncio.to_thread(self._parameters.load)
        await self._archiving.load()

    async def _ask_catalog(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what needs the catalog; an engine that recovers from a crash may take its time to answer."""
        deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT
        while True:
            try:
                await work()
            except CatalogError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise EngineStartError(f"{error} (directory {self._home.sys.path})") from error
                _log.warning("the catalog does not answer, trying again", cause=str(error))
                await asyncio.sleep(_POLL)
            else:
                return

    def _serve_metrics(self) -> None:
        host, port = self._config.metrics.host, self._config.metrics.port
        if port is None:
            return
        try:
            port = self._metrics.start(host, port)
        except OSError as error:
            raise HomeError(f"cannot serve metrics on {host}:{port}: {error}; choose another [metrics] port") from error
        _log.info("metrics", url=f"http://{host}:{port}/metrics")

    async def _listen(self, host: str, port: int) -> tuple[str, int]:
        try:
            return await self._gateway.start(host, port)
        except OSError as error:
            cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise HomeError(f"cannot listen on {host}:{port}: {cause}; choose another --port") from error

    async def _start_engine(self, name: str) -> None:
        """Start an engine and wait until the service can log in to it. Raises EngineStartError."""
        instance, base = self._instances[name], self._bases[name]
        await asyncio.to_thread(instance.start)
        deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT
        while True:
            instance.check_alive()
            try:
                await asyncio.to_thread(ensure_account, base)
                break
            except OSError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise EngineStartError(f"the engine in {base.path} does not answer: {error}") from error
                await asyncio.sleep(_POLL)
        _log.info("engine started", tenant=name, pid=instance.pid)

    async def _watch(self, name: str) -> None:
        """Start an engine again whenever it has ended; runs until cancelled."""
        instance, pause = self._instances[name], _WATCH_PAUSE
        while True:
            await asyncio.sleep(_WATCH_PAUSE)
            if instance.is_running():
                continue
            _log.error("engine ended, starting it again", tenant=name)
            try:
                await asyncio.to_thread(instance.stop)
                await self._start_engine(name)
                pause = _WATCH_PAUSE
            except (EngineStartError, AccountError) as error:
                _log.error("engine does not start, trying again", tenant=name, cause=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_RESTART_PAUSE)

    def _keep_holding(self) -> None:
        """Keep linking new redo blocks while log is held; in a thread of its own, so that nothing delays it."""
        while not self._stopping.wait(_HOLD_PAUSE):
            for engine in self._engines:
                try:
                    engine.keep_up()
                except OSError as error:
                    _log.error("log cannot be held", directory=str(engine.base.path), cause=str(error))

    def _refuse_empty_passwords(self, host: str) -> None:
        """Raise HomeError if anybody on the network could log in as root."""
        for name, base in self._bases.items():
            if accepts_empty_root(base):
                raise HomeError(
                    f"root@{name} has no password, and {host} can be reached from other machines: start on 127.0.0.1, "
                    f"run ALTER USER root IDENTIFIED BY '…' as root@{name}, and start again; or set "
                    "allow_empty_password"
                )


class Directory:
    """The gateway's view of the tenants."""

    def __init__(self, cluster_name: str, bases: dict[str, BaseDir], gates: dict[str, TenantGate]) -> None:
        self.cluster_name = cluster_name
        self._bases = bases
        self._gates = gates

    def socket_of(self, tenant: str) -> Path | None:
        """See `TenantDirectory`."""
        base = self._bases.get(tenant)
        return base.socket if base else None

    def gate_of(self, tenant: str) -> WriteGate | None:
        """See `TenantDirectory`."""
        return self._gates.get(tenant)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
