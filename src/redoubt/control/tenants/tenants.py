"""The cluster's tenants, and the statements that create and drop them.

A crash leaves no partial tenant: the next start of the service removes a tenant that is CREATING in the catalog, and
finishes the drop of a tenant that is DROPPING.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.catalog.tenants import TenantRole, TenantStatus
from redoubt.control.background import Background
from redoubt.control.cluster import SYS_TENANT, SYS_TENANT_ID, EngineRefusedError, Engines, EngineSource, Tenant
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.valve import Valve
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.session import Session
from redoubt.control.session_time import local_texts
from redoubt.control.tenants.names import Like, checked_name
from redoubt.control.tenants.register import Entry, Register
from redoubt.sql.answers import Column, ColumnType, Ok, Rows
from redoubt.sql.errors import SqlError, not_allowed, not_supported, tenant_exists, tenant_left, unknown_tenant
from redoubt.sql.restore_errors import restore_in_progress, restore_tenant_exists
from redoubt.sql.statements import ALL_TENANTS, CreateTenant, DropTenant, ShowTenants

COLUMNS = (
    Column("TENANT_ID", ColumnType.LONGLONG, 20),
    Column("TENANT_NAME", length=128),
    Column("STATUS", length=64),
    Column("KIND", length=64),
    Column("CREATED", length=26),
)
"""The columns of SHOW TENANTS."""

_RETRY_PAUSE = 1.0
_WHITE_LIST = "SET OB_TCP_INVITED_NODES"
"""The one variable of CREATE TENANT that has an effect."""
_log = structlog.get_logger("redoubt.control.tenants.tenants")


class Tenants:
    """For the event loop. User tenants only, not sys."""

    def __init__(
        self,
        register: Register,
        engines: Engines,
        archiving: Archiving,
        valve: Valve,
        chronicle: Chronicle,
        background: Background,
    ) -> None:
        self._register = register
        self._engines = engines
        self._archiving = archiving
        self._valve = valve
        self._chronicle = chronicle
        self._background = background
        self.end_restore: Callable[[int], Awaitable[None]] = _nothing_to_end
        """Ends the restore of a RESTORING tenant, by its id, because the tenant is being dropped."""
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._statement = asyncio.Lock()

    @property
    def all(self) -> list[Tenant]:
        """The user tenants that are no standbys, in the order of their ids."""
        return self._register.all

    def named(self, name: str) -> Tenant | None:
        """The NORMAL tenant of a name in any case; None without one."""
        return self._register.named(name)

    async def start(self) -> None:
        """Watch the registered tenants, and resume the unfinished work of the last service."""
        for entry in self._register.entries:
            now = self._archiving.round
            if entry.record.status is TenantStatus.RESTORING:
                continue  # `Restores` resumes it
            if entry.is_standby and entry.record.status is TenantStatus.NORMAL:
                continue  # `Standbys` resumes it; it is not archived
            if entry.record.status is TenantStatus.DROPPING:
                if not entry.is_standby:
                    self._watch(entry.tenant)
                self._background.keep(f"drop of tenant {entry.tenant.tenant_id}", partial(self._drop_to_the_end, entry))
            elif now.is_archiving and entry.tenant.tenant_id not in now.tenants:
                await self._join(entry.tenant)  # created just before the last service died
            else:
                self._watch(entry.tenant)

    async def create(self, statement: CreateTenant) -> Ok:
        """`CREATE TENANT`: returns when the tenant can be logged in to. Raises SqlError, CatalogError."""
        name = checked_name(statement.name)
        async with self._statement:
            if name == SYS_TENANT or self._register.entry(name) is not None:
                if statement.if_not_exists:
                    return Ok.noted(tenant_exists(name))
                raise tenant_exists(name)
            source = await self._checked(name, statement.source)
            entry = await self._register.begin(name, source, dict(statement.options))
            try:
                await self._engines.start(entry.tenant, dict(statement.options).get(_WHITE_LIST))
                entry = await self._register.mark(entry, TenantStatus.NORMAL)
            except (EngineRefusedError, CatalogError) as error:
                await self._engines.remove(entry.tenant, force=True)
                await self._register.mark_gone(entry)
                if isinstance(error, EngineRefusedError):
                    raise not_allowed(f"create tenant {name}", str(error)) from error
                raise
            await self._join(entry.tenant)
            _log.info("tenant created", tenant=name, tenant_id=entry.tenant.tenant_id, source=source.directory)
        return Ok()

    async def drop(self, statement: DropTenant) -> Ok:
        """`DROP TENANT`: returns when the tenant is gone. Raises SqlError, CatalogError."""
        name = statement.name.lower()
        async with self._statement:
            if name == SYS_TENANT:
                raise not_allowed("drop tenant sys", "tenant sys holds the cluster's catalog")
            entry = self._register.entry(name)
            if entry is None:
                if statement.if_exists:
                    return Ok.noted(unknown_tenant(name))
                raise unknown_tenant(name)
            was_restoring = entry.record.status is TenantStatus.RESTORING
            if entry.record.status is not TenantStatus.DROPPING:
                entry = await self._register.mark(entry, TenantStatus.DROPPING)
            if was_restoring:
                await self.end_restore(entry.tenant.tenant_id)
            try:
                left = await self._end(entry, force=statement.force)
            except EngineRefusedError as error:
                raise not_allowed(f"drop tenant {name}", f"{error}; then repeat DROP TENANT, or add FORCE") from error
        return Ok.noted(tenant_left(left)) if left else Ok()

    def check_restore(self, name: str) -> str:
        """Check that a tenant can be restored under a name; returns the name as stored. Raises SqlError."""
        wanted = checked_name(name)
        entry = self._register.entry(wanted)
        if entry is not None and entry.record.status is TenantStatus.RESTORING:
            raise restore_in_progress(f"tenant {wanted} is being restored; to cancel, run DROP TENANT {wanted}")
        if wanted == SYS_TENANT or entry is not None:
            raise restore_tenant_exists()
        return wanted

    async def begin_restore(self, name: str, options: dict[str, str], engine_kind: str, role: TenantRole) -> Entry:
        """Record a tenant as RESTORING. Raises SqlError, CatalogError."""
        async with self._statement:
            source = EngineSource(engine_kind=engine_kind)
            wanted = self.check_restore(name)
            return await self._register.begin(wanted, source, options, TenantStatus.RESTORING, role)

    def restoring(self, tenant_id: int | None = None) -> list[Entry]:
        """The RESTORING tenants, or only the one of that id."""
        entries = [entry for entry in self._register.entries if entry.record.status is TenantStatus.RESTORING]
        return [entry for entry in entries if tenant_id in {None, entry.record.tenant_id}]

    def is_normal(self, tenant_id: int) -> bool:
        """Whether a NORMAL tenant has that id."""
        return any(tenant.tenant_id == tenant_id for tenant in self.all)

    async def admit(self, tenant_id: int) -> None:
        """Make a restored tenant NORMAL, and archive it if a round runs, but no standby. Raises CatalogError."""
        async with self._statement:
            for entry in self.restoring(tenant_id):
                admitted = await self._register.mark(entry, TenantStatus.NORMAL)
                if not admitted.is_standby:
                    await self._join(admitted.tenant)

    def entry(self, name: str) -> Entry | None:
        """The tenant of a name in any case and of any status, with its record; None without one."""
        return self._register.entry(name)

    def standbys(self) -> list[Entry]:
        """The NORMAL tenants that follow archived log."""
        normal = [entry for entry in self._register.entries if entry.record.status is TenantStatus.NORMAL]
        return [entry for entry in normal if entry.is_standby]

    async def promote(self, tenant_id: int) -> None:
        """Record that a standby is a primary from now on. Raises EngineRefusedError, CatalogError: then it is none."""
        async with self._statement:
            entry = next((each for each in self.standbys() if each.record.tenant_id == tenant_id), None)
            if entry is None:
                raise EngineRefusedError("the tenant was dropped meanwhile")
            await self._register.mark(entry, TenantStatus.NORMAL, TenantRole.PRIMARY)

    async def join(self, tenant: Tenant) -> None:
        """Archive a promoted tenant if a round runs."""
        async with self._statement:
            if self.is_normal(tenant.tenant_id):  # and not dropped meanwhile
                await self._join(tenant)

    async def discard(self, tenant_id: int) -> None:
        """Remove a tenant whose restore failed. Raises CatalogError."""
        async with self._statement:
            for entry in self.restoring(tenant_id):
                await self._engines.remove(entry.tenant, force=True)
                await self._register.mark_gone(entry)

    async def show(self, statement: ShowTenants, session: Session) -> Rows:
        """`SHOW TENANTS`: sys as well. CREATED is in the session's time zone, as in the views. Raises SqlError."""
        shown: list[tuple[str | int | None, ...]] = [(SYS_TENANT_ID, SYS_TENANT, str(TenantStatus.NORMAL), "SYS", None)]
        entries = self._register.entries
        created_at = await local_texts([entry.record.created_at for entry in entries], session)
        for entry, created in zip(entries, created_at, strict=True):
            record = entry.record
            is_away = record.status is TenantStatus.NORMAL and self._engines.trouble(entry.tenant)
            status = "UNAVAILABLE" if is_away else str(record.status)
            shown.append((record.tenant_id, record.name, status, str(record.kind), created))
        like = Like("%" if statement.like is None else statement.like)
        return Rows(COLUMNS, [row for row in shown if like.matches(str(row[1]))])

    async def _checked(self, name: str, source: str | None) -> EngineSource:
        """The source of a new tenant, taken apart. Raises SqlError."""
        try:
            found = await self._engines.check_new(source)
        except EngineRefusedError as error:
            raise not_allowed(f"create tenant {name}", str(error)) from error
        for entry in self._register.entries:
            if found.directory and entry.record.base_dir == found.directory:
                why = f"{found.directory} is already archived, as tenant {entry.record.name}"
                raise not_allowed(f"create tenant {name}", why)
        if found.directory:
            await self._archiving.destinations.check_source(name, Path(found.directory))
        return found

    async def _end(self, entry: Entry, *, force: bool) -> str:
        """End a tenant that is DROPPING; may be called again. Returns what the user must remove, empty for nothing.

        Raises EngineRefusedError, SqlError, CatalogError.
        """
        tenant = entry.tenant
        await self._engines.end_sessions(tenant)
        if any(archive.tenant.tenant_id == tenant.tenant_id for archive in self._archiving.archives):
            with suppress(OSError):  # releasing held log failed; it goes with the directory
                await self._archiving.drop_tenant(tenant.tenant_id, force=force)
        if (watch := self._watches.pop(tenant.tenant_id, None)) is not None:
            watch.cancel()
            await asyncio.wait([watch])
        await self._chronicle.forget(tenant.tenant_id)
        left = await self._engines.remove(tenant, force=force)
        await self._register.mark_gone(entry)
        _log.info("tenant dropped", tenant=tenant.name, tenant_id=tenant.tenant_id)
        return left

    async def _drop_to_the_end(self, entry: Entry) -> None:
        """Repeat dropping a tenant until it succeeds."""
        _log.warning("resuming an unfinished DROP TENANT", tenant=entry.tenant.name)
        while True:
            async with self._statement:
                if entry not in self._register.entries:
                    return  # somebody dropped it again meanwhile
                try:
                    await self._end(entry, force=False)
                except (EngineRefusedError, SqlError, CatalogError) as error:
                    _log.warning("cannot drop the tenant, retrying", tenant=entry.tenant.name, cause=str(error))
                else:
                    return
            await asyncio.sleep(_RETRY_PAUSE)

    async def _join(self, tenant: Tenant) -> None:
        """Archive a NORMAL tenant if a round runs, and watch it."""
        while True:
            try:
                await self._archiving.add_tenant(tenant)
                break
            except CatalogError as error:
                _log.warning("cannot start archiving the tenant, retrying", tenant=tenant.name, cause=str(error))
                await asyncio.sleep(_RETRY_PAUSE)
        self._watch(tenant)

    def _watch(self, tenant: Tenant) -> None:
        archive = next(each for each in self._archiving.archives if each.tenant.tenant_id == tenant.tenant_id)
        watch = partial(self._valve.watch, archive)
        self._watches[tenant.tenant_id] = self._background.keep(f"valve of tenant {tenant.tenant_id}", watch)


async def _nothing_to_end(tenant_id: int) -> None:
    """The default of `end_restore`: no restores exist."""
    raise AssertionError(f"tenant {tenant_id} is being restored by nobody")


def check_whole_cluster(named: tuple[str, ...], tenants: Tenants) -> None:
    """Check that a clause names no tenant, ALL, or every user tenant. Raises SqlError 1235 and 5157."""
    if not named or named == ALL_TENANTS:
        return
    names = {name.lower() for name in named}
    for name in named:
        if name.lower() != SYS_TENANT and tenants.named(name) is None:
            raise unknown_tenant(name)
    if names != {tenant.name for tenant in tenants.all}:
        raise not_supported(
            "log archive of some of the tenants",
            "a round archives all user tenants of the cluster; leave the TENANT clause out, or write TENANT = ALL",
        )
