"""The register of tenants, in memory and in the catalog. User tenants only, not sys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.catalog.tables import SYS_TENANT_ID
from redoubt.catalog.tenants import TenantKind, TenantRecord, TenantRole, TenantStatus, TenantTable
from redoubt.control.cluster import MAIN_TENANT, MAIN_TENANT_ID, SYS_TENANT, Engines, EngineSource, Tenant

_WRITE_PAUSE = 0.5
_log = structlog.get_logger("redoubt.control.tenants.register")


@dataclass(frozen=True)
class Entry:
    """A tenant and its catalog record."""

    record: TenantRecord
    tenant: Tenant

    @property
    def is_standby(self) -> bool:
        """Whether the tenant's engine only follows archived log."""
        return self.record.role is TenantRole.STANDBY


class Register:
    """For the event loop."""

    def __init__(self, table: TenantTable, engines: Engines) -> None:
        self._table = table
        self._engines = engines
        self._entries: dict[int, Entry] = {}
        self._last_id = MAIN_TENANT_ID - 1
        self._troubles: dict[int, str] = {}
        self._debts: dict[int, Callable[[], None]] = {}
        self._writing = asyncio.Lock()

    @property
    def entries(self) -> list[Entry]:
        """Every tenant that is not DROPPED, in the order of their ids."""
        return list(self._entries.values())

    @property
    def all(self) -> list[Tenant]:
        """The NORMAL tenants that are no standbys, in the order of their ids."""
        return [
            entry.tenant
            for entry in self._entries.values()
            if entry.record.status is TenantStatus.NORMAL and not entry.is_standby
        ]

    def entry(self, name: str) -> Entry | None:
        """The tenant of a name in any case and of any status; None without one."""
        wanted = name.lower()
        return next((entry for entry in self._entries.values() if entry.tenant.name == wanted), None)

    def named(self, name: str) -> Tenant | None:
        """The NORMAL tenant of a name in any case; None without one."""
        entry = self.entry(name)
        return entry.tenant if entry and entry.record.status is TenantStatus.NORMAL else None

    async def load(self) -> None:
        """Load the tenants from the catalog; the first time, record sys and main.

        Removes tenants whose creation a kill of the service interrupted. Raises CatalogError, UnknownEngineKindError.
        """
        records = await asyncio.to_thread(self._table.load)
        is_first = not records
        if is_first:
            main = new_record(MAIN_TENANT_ID, MAIN_TENANT, EngineSource(), {}, TenantStatus.NORMAL)
            await asyncio.to_thread(self._table.put, main)
            await asyncio.to_thread(self._table.put, replace(main, tenant_id=SYS_TENANT_ID, name=SYS_TENANT))
            records = [main]
        for record in records:
            if record.tenant_id != SYS_TENANT_ID:
                self.take(record, is_new=is_first)
        for entry in self.entries:
            if entry.record.status is TenantStatus.CREATING:
                _log.warning("removing a tenant that was not fully created", tenant=entry.tenant.name)
                await self._engines.remove(entry.tenant, force=True)
                await self.mark_gone(entry)

    def take(self, record: TenantRecord, *, is_new: bool = False) -> Entry | None:
        """Add a tenant to the register; None if the tenant is DROPPED."""
        self._last_id = max(self._last_id, record.tenant_id)
        if record.status is TenantStatus.DROPPED:
            return None
        source = EngineSource(record.base_dir, record.engine_kind)
        is_standby = record.role is TenantRole.STANDBY
        tenant = self._engines.place(record.tenant_id, record.name, source, is_new=is_new, is_standby=is_standby)
        entry = self._entries[record.tenant_id] = Entry(record, tenant)
        return entry

    async def begin(
        self,
        name: str,
        source: EngineSource,
        options: dict[str, str],
        status: TenantStatus = TenantStatus.CREATING,
        role: TenantRole = TenantRole.PRIMARY,
    ) -> Entry:
        """Record a new tenant with a status of creation. After CatalogError the tenant is not recorded."""
        record = replace(new_record(self._last_id + 1, name, source, options, status), role=role)
        self._last_id = record.tenant_id
        await self._put(record, lambda: self._table.remove(record.tenant_id))
        entry = self.take(record, is_new=status is TenantStatus.CREATING)
        assert entry is not None, "the tenant is not DROPPED"
        return entry

    async def mark(self, entry: Entry, status: TenantStatus, role: TenantRole | None = None) -> Entry:
        """Record a tenant's status, and its role if it changes. After CatalogError nothing has changed."""
        role = role or entry.record.role
        record = replace(entry.record, status=status, role=role, modified_at=time.time_ns())
        await self._put(record, lambda: self._table.put(entry.record))
        self._troubles.pop(record.tenant_id, None)
        marked = self._entries[record.tenant_id] = Entry(record, entry.tenant)
        return marked

    async def mark_gone(self, entry: Entry) -> None:
        """Remove a tenant from the register; the write to the catalog is retried until it succeeds."""
        tenant_id = entry.record.tenant_id
        self._entries.pop(tenant_id, None)
        if entry.record.status is TenantStatus.CREATING:
            self._debts[tenant_id] = lambda: self._table.remove(tenant_id)
        else:
            gone = replace(entry.record, status=TenantStatus.DROPPED, modified_at=time.time_ns())
            self._debts[tenant_id] = lambda: self._table.put(gone)
        try:
            await self._pay()
        except CatalogError as error:
            _log.warning("cannot write the tenants to the catalog, retrying", cause=str(error))

    async def write(self) -> None:
        """Repeat failed writes and write the engines' troubles to the catalog; runs until cancelled."""
        while True:
            try:
                await self._pay()
                await self._write_troubles()
            except CatalogError as error:
                _log.warning("cannot write the tenants to the catalog, retrying", cause=str(error))
            await asyncio.sleep(_WRITE_PAUSE)

    async def _put(self, record: TenantRecord, undo: Callable[[], None]) -> None:
        """Write a row. After CatalogError the row may still be written, so `undo` runs as soon as possible."""
        async with self._writing:
            self._debts.pop(record.tenant_id, None)
            try:
                await asyncio.to_thread(self._table.put, record)
            except CatalogError:
                self._debts[record.tenant_id] = undo
                raise

    async def _pay(self) -> None:
        """Repeat failed writes to the catalog. Raises CatalogError."""
        async with self._writing:
            for tenant_id, work in list(self._debts.items()):
                await asyncio.to_thread(work)
                del self._debts[tenant_id]

    async def _write_troubles(self) -> None:
        async with self._writing:
            for entry in self.entries:
                is_restoring = entry.record.status is TenantStatus.RESTORING  # the tenant has no engine yet
                tenant_id, trouble = entry.record.tenant_id, "" if is_restoring else self._engines.trouble(entry.tenant)
                if self._troubles.get(tenant_id, "") != trouble:
                    since = time.time_ns() if trouble else 0
                    await asyncio.to_thread(self._table.set_trouble, tenant_id, trouble, since)
                    self._troubles[tenant_id] = trouble


def new_record(
    tenant_id: int, name: str, source: EngineSource, options: dict[str, str], status: TenantStatus
) -> TenantRecord:
    """The record of a new tenant."""
    now = time.time_ns()
    kind = TenantKind.EXTERNAL if source.directory else TenantKind.EMBEDDED
    return TenantRecord(tenant_id, name, kind, source.directory, status, now, now, options, source.engine_kind)
