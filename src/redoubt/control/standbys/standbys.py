"""Standby tenants: their statements, and what the views show of them.

A standby is a tenant whose role in the register is STANDBY. The register alone decides: once it says PRIMARY, whoever
starts the engine lets it write. Nothing of a standby is archived.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from redoubt.archive.inventory import pieces_of
from redoubt.archive.store import ArchiveError
from redoubt.catalog.session import CatalogError
from redoubt.catalog.standbys import UNLIMITED, StandbyRecord, StandbyTable, SwitchoverStatus
from redoubt.catalog.tenants import TenantStatus
from redoubt.control.cluster import SYS_TENANT, EngineRefusedError, Engines, Followed, FollowedLog, Tenant
from redoubt.control.destination_keys import DestinationKeys
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.session import Session
from redoubt.control.session_time import moment_text, scn_of
from redoubt.control.tenants.register import Entry
from redoubt.control.tenants.tenants import Tenants
from redoubt.destinations.uri import UriError, destination_of, open_destination
from redoubt.model.seams import DestinationError
from redoubt.restore.planning import UnknownTenantError, find_tenant
from redoubt.sql.answers import Ok
from redoubt.sql.errors import not_allowed, unknown_tenant
from redoubt.sql.log_restore_source import parse_log_restore_source
from redoubt.sql.standby_errors import (
    no_recovery_end,
    not_a_standby,
    only_user_tenants,
    source_not_accessible,
    tenant_not_named,
    tenant_not_normal,
    until_in_the_past,
)
from redoubt.sql.statements import ActivateStandby, Assignment, RecoverStandby

_LOOK = 0.5
_WRITE_PAUSE = 1.0
_PATIENCE = 180.0
"""Seconds in which the engine of a new standby may fail to start before its restore has failed."""
_log = structlog.get_logger("redoubt.control.standbys.standbys")


class Standbys:
    """For the event loop."""

    def __init__(self, tenants: Tenants, engines: Engines, table: StandbyTable, keys: DestinationKeys) -> None:
        self._tenants = tenants
        self._engines = engines
        self._table = table
        self._keys = keys
        self._questions = DestinationQuestions()
        self._records: dict[int, StandbyRecord] = {}
        self._switching: dict[int, asyncio.Task[None]] = {}
        self._statement = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Let the standbys follow that followed when the last service ended. Raises CatalogError."""
        for record in await asyncio.to_thread(self._table.load):
            self._records[record.tenant_id] = replace(record, switchover_status=SwitchoverStatus.NORMAL)
        for entry in self._tenants.standbys():
            self._follow(entry.tenant)

    async def begin(self, tenant: Tenant, record: StandbyRecord, progress: Callable[[Followed], None]) -> str:
        """Let a restored tenant follow up to the record's `until_scn`; returns when it is there.

        Returns why it cannot get there, empty if it is there. Raises CatalogError; may be called again.
        """
        async with self._writing:
            await self._put(record)
        self._follow(tenant)
        began = time.monotonic()
        while not (now := self._engines.followed(tenant)).is_complete:
            progress(now)
            trouble = self._engines.trouble(tenant)
            if not trouble:
                began = time.monotonic()
            elif time.monotonic() > began + _PATIENCE:
                return trouble
            await asyncio.sleep(_LOOK)
        await self._change(tenant)
        return ""

    async def write(self) -> None:
        """Write to the catalog how far the standbys are; runs until cancelled."""
        while True:
            try:
                for entry in self._tenants.standbys():
                    if self._now(entry.tenant) != self._records[entry.tenant.tenant_id]:
                        await self._change(entry.tenant)
            except CatalogError as error:
                _log.warning("cannot write the standbys to the catalog, retrying", cause=str(error))
            await asyncio.sleep(_WRITE_PAUSE)

    async def close(self) -> None:
        """Leave what is being switched to the next service."""
        for task in self._switching.values():
            task.cancel()
        await asyncio.gather(*self._switching.values(), return_exceptions=True)

    async def recover(self, statement: RecoverStandby, session: Session) -> None:
        """`RECOVER STANDBY`: follow up to another moment. Raises SqlError, CatalogError."""
        entry = self._entry(statement.tenant)
        if not entry.is_standby:
            raise not_a_standby("recover")
        self._check_normal(entry, "recover")
        until = UNLIMITED
        if statement.until is None and not statement.is_cancel:
            raise no_recovery_end()
        if statement.until is not None and (statement.until.time is not None or statement.until.scn is not None):
            until = await scn_of(statement.until, session)
        async with self._statement:
            record = self._now(entry.tenant)
            if statement.is_cancel:
                until = record.sync_scn or record.until_scn
            elif until < record.sync_scn:
                raise until_in_the_past(await moment_text(record.sync_scn, session))
            await self._change(entry.tenant, until_scn=until)
            self._follow(entry.tenant)

    async def set_source(self, item: Assignment) -> None:
        """`SET LOG_RESTORE_SOURCE`: get the log from elsewhere, or from nowhere. Raises SqlError, CatalogError."""
        if len(item.tenants) != 1:
            raise tenant_not_named()
        entry = self._entry(item.tenants[0])
        uri = destination_of(parse_log_restore_source(await self._keys.without(item.value, replaces=False)))
        if not entry.is_standby:
            raise not_a_standby("set log restore source")
        self._check_normal(entry, "set log restore source")
        async with self._statement:
            if uri:
                try:
                    await self._questions.ask(uri, _check_source, uri, self._now(entry.tenant))
                except (UriError, DestinationError, ArchiveError, UnknownTenantError) as error:
                    raise source_not_accessible(str(error)) from error
                await self._change(entry.tenant, destination=uri, source_type="LOCATION")
            else:
                await self._change(entry.tenant, source_type="")
            self._follow(entry.tenant)

    async def activate(self, statement: ActivateStandby) -> Ok:
        """`ACTIVATE STANDBY`: returns when the tenant can be written. Raises SqlError, CatalogError."""
        entry = self._entry(statement.tenant)
        if not entry.is_standby and entry.record.status is TenantStatus.NORMAL:
            return Ok()
        self._check_normal(entry, "activate")
        if statement.is_verify:
            if trouble := self._engines.trouble(entry.tenant):
                raise not_allowed(f"activate tenant {entry.tenant.name} is", trouble)
            return Ok()
        tenant_id = entry.tenant.tenant_id
        task = self._switching.get(tenant_id)
        if task is None:
            task = self._switching[tenant_id] = asyncio.create_task(self._switch(entry))
            task.add_done_callback(partial(self._switched, tenant_id))
        await asyncio.shield(task)  # the client may go; what was begun goes on
        return Ok()

    def _switched(self, tenant_id: int, task: asyncio.Task[None]) -> None:
        self._switching.pop(tenant_id, None)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a standby was not activated", tenant_id=tenant_id, cause=str(task.exception()))

    async def _switch(self, entry: Entry) -> None:
        tenant = entry.tenant
        began = time.monotonic()
        await self._change(tenant, switchover_status=SwitchoverStatus.PREPARE_FLASHBACK)
        try:
            without = not self._records[tenant.tenant_id].source_type
            await self._engines.activate(tenant, partial(self._decide, entry), without_archive=without)
        except (EngineRefusedError, CatalogError) as error:
            await self._change(tenant, switchover_status=SwitchoverStatus.NORMAL)
            raise not_allowed(f"activate tenant {tenant.name} is", str(error)) from error
        _log.info("standby activated", tenant=tenant.name, seconds=round(time.monotonic() - began, 3))
        await self._change(tenant, switchover_status=SwitchoverStatus.NORMAL, until_scn=UNLIMITED, trouble="")
        await self._tenants.join(tenant)

    async def _decide(self, entry: Entry) -> None:
        await self._change(entry.tenant, switchover_status=SwitchoverStatus.SWITCHING_TO_PRIMARY)
        await self._tenants.promote(entry.tenant.tenant_id)  # the last step: after an error nothing is decided

    def _entry(self, name: str | None) -> Entry:
        """The tenant that a statement names. Raises SqlError."""
        if name is None:
            raise tenant_not_named()
        if name.lower() == SYS_TENANT:
            raise only_user_tenants()
        entry = self._tenants.entry(name)
        if entry is None:
            raise unknown_tenant(name)
        return entry

    def _check_normal(self, entry: Entry, statement: str) -> None:
        status = str(entry.record.status)
        if entry.tenant.tenant_id in self._switching and statement != "activate":
            status = "becoming a primary"
        if status != TenantStatus.NORMAL:
            raise tenant_not_normal(statement, status)

    def _now(self, tenant: Tenant) -> StandbyRecord:
        """The record of a standby, with how far it is."""
        return _with(self._records[tenant.tenant_id], self._engines.followed(tenant))

    def _follow(self, tenant: Tenant) -> None:
        """Let a standby follow what its record says; without a source, it stays where it is."""
        record = self._records[tenant.tenant_id]
        until = record.until_scn if record.source_type else record.sync_scn
        self._engines.follow(
            tenant,
            FollowedLog(
                destination=record.destination,
                cluster=record.cluster,
                cluster_id=record.cluster_id,
                tenant_id=record.source_tenant_id,
                source=record.source,
                until_scn=None if until == UNLIMITED else until,
            ),
        )

    async def _change(self, tenant: Tenant, **changes: Any) -> None:
        """Write how far a standby is, and what else changes. One write at a time: none undoes another's change."""
        async with self._writing:
            await self._put(replace(self._now(tenant), **changes))

    async def _put(self, record: StandbyRecord) -> None:
        await asyncio.to_thread(self._table.put, record)
        self._records[record.tenant_id] = record


def _with(record: StandbyRecord, now: Followed) -> StandbyRecord:
    """A record with how far the standby is; an unknown SCN leaves the last one."""
    return replace(
        record,
        sync_lsn=max(record.sync_lsn, now.sync_lsn),
        sync_scn=max(record.sync_scn, now.sync_scn),
        readable_scn=max(record.readable_scn, now.readable_scn),
        trouble=now.trouble,
    )


def _check_source(uri: str, record: StandbyRecord) -> None:
    """Check that a destination has the log of a standby's engine. Blocks.

    Raises UriError, DestinationError, ArchiveError, UnknownTenantError.
    """
    destination = open_destination(uri)
    tenant = find_tenant(destination, str(record.source_tenant_id), record.cluster, record.cluster_id)
    sources = {each.info.source for each in pieces_of(destination, tenant, {}) if each.run is not None}
    if record.source not in sources:
        raise UnknownTenantError(f"{uri} has no log of the engine that the standby follows ({record.source})")
