"""The engine room: starts, keeps, stops and removes the engines of all tenants, and holds their log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pymysql
import structlog

from redoubt.control.background import Background
from redoubt.control.cluster import (
    MAIN_TENANT_ID,
    EngineRefusedError,
    EngineSource,
    Followed,
    FollowedLog,
    Tenant,
)
from redoubt.holder_process import HolderProcess
from redoubt.home import Home
from redoubt.messages.following import Follow
from redoubt.model.engine_kind import (
    SEEKDB,
    EngineKind,
    SourceError,
    UnknownEngineKindError,
    parse_source,
    real_directory,
)
from redoubt.model.keeping import AccountError, ApplicationKeeper, EngineSizes, EngineStartError, Keeper, KeptEngine
from redoubt.model.own_files import OwnFiles
from redoubt.model.standby import TakeOverError
from redoubt.restore.restoring import RestoreError, kind_restored_in
from redoubt.standby_keeper import StandbyKeeper

_FIRST_TRY = 60.0
"""Seconds that the start of the service waits for a tenant's engine."""
_log = structlog.get_logger("redoubt.engine_room")


class EngineRoom:
    """For the event loop; see `Engines`. `is_exposed`: clients may connect from other machines, and need passwords.

    `kind_of` gives the engine kind of a name; see `engine_kind`.
    """

    def __init__(
        self,
        home: Home,
        sizes: EngineSizes,
        background: Background,
        kind_of: Callable[[str], EngineKind],
        *,
        is_exposed: bool,
    ) -> None:
        self._home = home
        self._sizes = sizes
        self._background = background
        self._kind_of = kind_of
        self._is_exposed = is_exposed
        self.gateway_ids: Callable[[str], set[int]] = lambda _: set()
        """The engine's ids of the sessions that clients opened through the gateway, by the tenant's name."""
        self._sys = kind_of(SEEKDB).embedded(home.sys.path, sizes, may_be_new=True, is_exposed=is_exposed)
        self._holding = HolderProcess(kind_of)
        self._keepers: dict[int, Keeper] = {}
        self._applications: dict[int, ApplicationKeeper] = {}
        """The keepers whose engine an application runs."""
        self._standbys: dict[int, StandbyKeeper] = {}
        """The keepers whose engine follows log, or has taken over and not ended since."""
        self._keeping: dict[int, asyncio.Task[None]] = {}

    async def start_sys(self) -> None:
        """Start the sys engine, and meanwhile the engines in the home. Raises EngineStartError, AccountError."""
        is_new = not self._kind_of(SEEKDB).has_engine(self._home.sys.path)
        for tenant_id in [MAIN_TENANT_ID] if is_new else self._home.tenant_ids():
            if self._home.is_standby(tenant_id):
                continue  # `place` adds it: the catalog knows whether it has become a primary
            try:
                kind = kind_restored_in(self._home.tenant(tenant_id).path)
                self._keepers[tenant_id] = self._embedded(tenant_id, kind, is_new=is_new)
                self._holding.add(kind, self._keepers[tenant_id].directory)
            except (RestoreError, UnknownEngineKindError) as error:  # `place` adds it: the catalog has its kind
                _log.warning("the engine is not started yet", tenant_id=tenant_id, cause=str(error))
            else:
                self._begin_keeping(tenant_id)
        self._background.keep("holding of log", self._holding.run)
        await self._sys.start()
        self._background.keep("engine of sys", self._sys.keep)

    async def settle(self, tenants: list[Tenant], unready: list[Tenant]) -> None:
        """Keep the engines of `tenants` and no others; returns after one attempt to reach each engine.

        The engines of `unready` tenants stay known, but are not started yet.
        """
        wanted = {tenant.tenant_id for tenant in tenants}
        for tenant_id in set(self._keepers) - wanted - {tenant.tenant_id for tenant in unready}:
            _log.warning("the directory belongs to no tenant", directory=str(self._keepers[tenant_id].directory))
            await self._let_go(tenant_id)
            self._forget(tenant_id)
        for tenant_id in wanted - set(self._keeping):
            self._begin_keeping(tenant_id)
        tries = [asyncio.ensure_future(self._keepers[key].was_tried.wait()) for key in wanted]
        if tries:
            _, late = await asyncio.wait(tries, timeout=_FIRST_TRY)
            for task in late:
                task.cancel()

    def is_open_door(self, tenant: Tenant) -> bool:
        """Whether the tenant's engine is refused because anybody could log in as root."""
        return self._keepers[tenant.tenant_id].is_open_door

    async def check_new(self, source: str | None) -> EngineSource:
        """See `Engines`."""
        if source is None:
            if self._is_exposed:
                raise EngineRefusedError(
                    "root of a new tenant has no password, and the gateway can be reached from other machines: set "
                    "allow_empty_password, or start on 127.0.0.1, create the tenant and give its root a password"
                )
            return EngineSource()
        try:
            name, path = parse_source(source)
            kind, directory = self._kind_of(name), real_directory(path)
            await asyncio.to_thread(kind.check_source, directory, self._home.path)
        except (SourceError, UnknownEngineKindError) as error:
            raise EngineRefusedError(str(error)) from error
        return EngineSource(str(directory), name)

    def place(
        self, tenant_id: int, name: str, source: EngineSource, *, is_new: bool, is_standby: bool = False
    ) -> Tenant:
        """See `Engines`."""
        if is_standby:
            self._place_standby(tenant_id, source.engine_kind)
        elif source.directory:
            kind = self._kind_of(source.engine_kind)
            application = kind.application(Path(source.directory), is_exposed=self._is_exposed)
            self._keepers[tenant_id] = self._applications[tenant_id] = application
            application.reached = self._account_keeping(application.directory)
        elif tenant_id not in self._keepers:
            self._home.end_standby(tenant_id)
            self._keepers[tenant_id] = self._embedded(tenant_id, source.engine_kind, is_new=is_new)
        keeper = self._keepers[tenant_id]
        self._holding.add(source.engine_kind, keeper.directory)
        keeper.may_be_new = keeper.may_be_new or is_new
        return Tenant(tenant_id, name, keeper.directory, keeper.engine, source.engine_kind)

    async def start(self, tenant: Tenant, white_list: str | None = None) -> None:
        """See `Engines`."""
        try:
            await self._keepers[tenant.tenant_id].start()
            if white_list is not None:
                await asyncio.to_thread(self._invite, tenant, white_list)
        except (EngineStartError, AccountError, OSError, pymysql.err.Error) as error:
            raise EngineRefusedError(str(error)) from error
        self._begin_keeping(tenant.tenant_id)

    def restoring(self, tenant: Tenant) -> Path:
        """See `Engines`."""
        return self._home.restoring(tenant.tenant_id).path

    async def is_restored(self, tenant: Tenant) -> bool:
        """See `Engines`."""
        return await asyncio.to_thread(self._home.is_restored, tenant.tenant_id)

    async def remove_restoring(self, tenant: Tenant) -> None:
        """See `Engines`."""
        await asyncio.to_thread(self._home.remove_restoring, tenant.tenant_id)

    async def move_in(self, tenant: Tenant, source: str) -> str:
        """See `Engines`."""
        keeper = self._keepers[tenant.tenant_id]
        is_standby = tenant.tenant_id in self._standbys
        try:
            await asyncio.to_thread(self._home.move_in, tenant.tenant_id, source, is_standby=is_standby)
            if is_standby:
                return ""  # `follow` starts it
            if tenant.tenant_id not in self._keeping:  # otherwise the service has kept the engine since its start
                await keeper.start()
        except (OSError, EngineStartError) as error:
            raise EngineRefusedError(str(error)) from error
        except AccountError as error:
            _log.error("cannot reach the restored engine, retrying", directory=str(keeper.directory), cause=str(error))
        if tenant.tenant_id not in self._keeping:
            self._begin_keeping(tenant.tenant_id)
        await keeper.was_tried.wait()
        return keeper.trouble

    def why_no_standby(self, engine_kind: str) -> str:
        """See `Engines`."""
        return self._kind_of(engine_kind).why_no_standby()

    def follow(self, tenant: Tenant, wanted: FollowedLog) -> None:
        """See `Engines`."""
        standby = self._standbys.get(tenant.tenant_id)
        if standby is None:  # dropped meanwhile
            return
        standby.follow(
            Follow(
                directory=str(tenant.base_dir),
                engine_kind=tenant.engine_kind,
                memory_budget=self._sizes.memory_budget,
                **asdict(wanted),
            )
        )
        if tenant.tenant_id not in self._keeping:
            self._begin_keeping(tenant.tenant_id)

    def followed(self, tenant: Tenant) -> Followed:
        """See `Engines`."""
        standby = self._standbys.get(tenant.tenant_id)
        if standby is None:  # it has taken over and ended since, or was dropped
            return Followed()
        at = standby.place
        trouble = standby.trouble or standby.source_trouble
        return Followed(at.lsn, at.scn, at.readable_scn, at.is_complete and not standby.trouble, trouble)

    async def activate(self, tenant: Tenant, decide: Callable[[], Awaitable[None]], *, without_archive: bool) -> None:
        """See `Engines`."""

        async def decided() -> None:
            await decide()
            try:
                await asyncio.to_thread(self._home.end_standby, tenant.tenant_id)
            except OSError as error:  # `place` does it at the next start
                _log.error("cannot remove the mark of a standby", directory=str(tenant.base_dir), cause=str(error))

        try:
            await self._standbys[tenant.tenant_id].activate(decided, without_archive=without_archive)
        except KeyError:
            raise EngineRefusedError(f"tenant {tenant.name} was dropped meanwhile") from None
        except TakeOverError as error:
            raise EngineRefusedError(str(error)) from error

    def trouble(self, tenant: Tenant) -> str:
        """See `Engines`."""
        return self._keepers[tenant.tenant_id].trouble

    def own_trouble(self, tenant: Tenant) -> str | None:
        """Why the engine cannot be used, empty if it can; None if an application runs the engine."""
        return None if tenant.tenant_id in self._applications else self._keepers[tenant.tenant_id].trouble

    async def end_sessions(self, tenant: Tenant) -> None:
        """See `Engines`."""
        keeper = self._keepers[tenant.tenant_id]
        only = self.gateway_ids(tenant.name) if tenant.tenant_id in self._applications else None
        try:
            await asyncio.to_thread(keeper.engine.end_sessions, only)
        except OSError as error:
            _log.warning("cannot end the tenant's sessions", tenant=tenant.name, cause=str(error))

    async def remove(self, tenant: Tenant, *, force: bool) -> str:
        """See `Engines`."""
        left = ""
        application = self._applications.get(tenant.tenant_id)
        await self._let_go(tenant.tenant_id)
        try:
            if application is not None:
                left = await application.leave(force=force)
            else:
                await asyncio.to_thread(self._home.remove_tenant, tenant.tenant_id)
        except OSError as error:
            if not force:
                raise EngineRefusedError(str(error)) from error
            _log.error("remove Redoubt's files by hand", directory=str(tenant.base_dir), cause=str(error))
            left = f"remove Redoubt's files in {tenant.base_dir} by hand ({error})"
        self._forget(tenant.tenant_id)
        return left

    async def stop(self) -> None:
        """Stop all engines; the tasks that keep the engines have ended."""
        await asyncio.gather(*(keeper.stop() for keeper in (self._sys, *self._keepers.values())))

    def _embedded(self, tenant_id: int, kind: str, *, is_new: bool) -> Keeper:
        directory = self._home.tenant(tenant_id).path
        keeper = self._kind_of(kind).embedded(directory, self._sizes, may_be_new=is_new, is_exposed=self._is_exposed)
        keeper.reached = self._account_keeping(directory)
        return keeper

    def _place_standby(self, tenant_id: int, kind: str) -> None:
        standby = StandbyKeeper(self._embedded(tenant_id, kind, is_new=False), is_exposed=self._is_exposed)
        standby.reached = standby.primary.reached
        self._keepers[tenant_id] = self._standbys[tenant_id] = standby

    async def _keep_standby(self, tenant_id: int, standby: StandbyKeeper) -> None:
        """Keep a standby's engine, and after it has taken over and ended, keep it as any other."""
        await standby.keep()
        self._keepers[tenant_id] = standby.primary
        self._standbys.pop(tenant_id, None)
        await standby.primary.keep()

    def _account_keeping(self, directory: Path) -> Callable[[KeptEngine], None]:
        """The callback that keeps the service's password on an engine: a restored engine has its source's account."""

        def keep(engine: KeptEngine) -> None:
            try:
                self._home.keep_account(engine.source_id(), OwnFiles(directory).account.read_text().strip())
            except OSError as error:
                _log.error("cannot keep the password for restores", directory=str(directory), cause=str(error))

        return keep

    def _invite(self, tenant: Tenant, white_list: str) -> None:
        with self._kind_of(tenant.engine_kind).connect(tenant.base_dir) as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL ob_tcp_invited_nodes = %s", (white_list,))

    def _forget(self, tenant_id: int) -> None:
        self._holding.remove(self._keepers.pop(tenant_id).directory)
        self._applications.pop(tenant_id, None)
        self._standbys.pop(tenant_id, None)

    def _begin_keeping(self, tenant_id: int) -> None:
        name = f"engine of tenant {tenant_id}"
        standby = self._standbys.get(tenant_id)
        keep = partial(self._keep_standby, tenant_id, standby) if standby else self._keepers[tenant_id].keep
        self._keeping[tenant_id] = self._background.keep(name, keep)

    async def _let_go(self, tenant_id: int) -> None:
        """Stop keeping an engine, and release the engine."""
        if (task := self._keeping.pop(tenant_id, None)) is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._keepers[tenant_id].kill()
