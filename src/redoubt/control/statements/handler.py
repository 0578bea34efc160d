"""Answers the statements that Redoubt runs itself: checks the privilege, and calls the part that does the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redoubt.catalog.session import CatalogError
from redoubt.control.backup_passwords import encryption_of, set_decryption, set_encryption
from redoubt.control.backups.data_backups import DataBackups
from redoubt.control.backups.deletion import Deletion
from redoubt.control.backups.holds import Holds
from redoubt.control.backups.second_backups import SecondBackups
from redoubt.control.cluster import SYS_TENANT
from redoubt.control.destination_keys import DestinationKeys
from redoubt.control.parameters.parameter_list import LOG_RESTORE_SOURCE
from redoubt.control.restores.restore_session import no_preview, restore_session
from redoubt.control.restores.restores import Restores
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.session import Session, check_privilege
from redoubt.control.standbys.standbys import Standbys
from redoubt.control.statements.settings import OURS, PARAMETER_COLUMNS, Settings
from redoubt.control.tenants.tenants import COLUMNS as TENANT_COLUMNS
from redoubt.control.tenants.tenants import Tenants, check_whole_cluster
from redoubt.sql.answers import PREVIEW_COLUMNS, Answer, Column, Ok
from redoubt.sql.errors import (
    SqlError,
    engine_away,
    invalid_argument,
    misspelled_secret,
    no_privilege,
    not_supported,
    not_supported_feature,
    not_supported_text,
    unknown_config,
    unknown_tenant,
)
from redoubt.sql.statements import (
    ALL_TENANTS,
    AccountWithHost,
    ActivateStandby,
    AddRestoreSource,
    ArchiveLog,
    BackupDatabase,
    CancelAllBackup,
    CancelBackup,
    CancelDeleteBackup,
    CancelRestore,
    CancelSecondBackup,
    CancelValidate,
    ChangeDestinationAccess,
    ClearRestoreSource,
    CreateTenant,
    DeleteBackup,
    DeleteExpiredBackup,
    DeleteObsoleteBackup,
    DropTenant,
    KeepBackup,
    MinorFreeze,
    MisspelledSecret,
    NoArchiveLog,
    PreviewObsolete,
    RecoverStandby,
    RestoreStandby,
    RestoreTables,
    RestoreTenant,
    ResumeBackup,
    SecondBackup,
    SecondLogBackup,
    SetDecryption,
    SetEncryption,
    SetParameters,
    ShowParameters,
    ShowRestorePreview,
    ShowTenants,
    Statement,
    SuspendBackup,
    Switchover,
    ValidateBackup,
)

REFUSALS: dict[type[Statement], Callable[[], SqlError]] = {
    SuspendBackup: lambda: not_supported_feature("to stop archiving, run ALTER SYSTEM NOARCHIVELOG"),
    ResumeBackup: lambda: not_supported_feature("to start archiving, run ALTER SYSTEM ARCHIVELOG"),
    DeleteExpiredBackup: lambda: invalid_argument(
        "delete expired backup", "backups do not expire; run ALTER SYSTEM DELETE OBSOLETE BACKUP"
    ),
    ValidateBackup: lambda: not_supported_feature("Redoubt does not validate backups by SQL; run redoubt verify"),
    CancelValidate: lambda: not_supported_feature("Redoubt does not validate backups by SQL; run redoubt verify"),
    SecondLogBackup: lambda: not_supported_feature(
        "Redoubt copies complete pieces: run ALTER SYSTEM BACKUP BACKUPPIECE ALL from time to time"
    ),
    Switchover: lambda: not_supported_feature(
        "after a switchover, each tenant needs a destination of its own, and Redoubt archives all tenants into one; to "
        "let a standby take over, run ALTER SYSTEM ACTIVATE STANDBY TENANT = name"
    ),
    RestoreTables: lambda: not_supported_feature(
        "Redoubt restores whole tenants; restore the tenant under another name, and copy the tables from that tenant"
    ),
}
"""The errors of statements that OceanBase parses, but that OceanBase or Redoubt does not support."""


@dataclass(frozen=True)
class _Task:
    """The function that runs a statement, and the columns of the rows that it answers, if it answers rows.

    Without `needs_alter_system`, no privilege is checked before the call.
    """

    run: Callable[[Any, Session], Awaitable[Answer | None]]
    needs_alter_system: bool = True
    columns: tuple[Column, ...] = ()


class Handler:
    """The service's handler; all sessions share it."""

    def __init__(
        self,
        tenants: Tenants,
        archiving: Archiving,
        settings: Settings,
        deletion: Deletion,
        backups: DataBackups,
        restores: Restores,
        keys: DestinationKeys,
        second: SecondBackups,
        holds: Holds,
        standbys: Standbys,
    ) -> None:
        self._standbys = standbys
        self._second = second
        self._keys = keys
        self._tenants = tenants
        self._archiving = archiving
        self._settings = settings
        self._deletion = deletion
        self._backups = backups
        self.tasks: dict[type[Statement], _Task] = {
            ShowParameters: _Task(settings.show, needs_alter_system=False, columns=PARAMETER_COLUMNS),
            ShowTenants: _Task(tenants.show, needs_alter_system=False, columns=TENANT_COLUMNS),
            ShowRestorePreview: _Task(_show_preview, needs_alter_system=False, columns=PREVIEW_COLUMNS),
            SetParameters: _Task(self._set, needs_alter_system=False),
            CreateTenant: _Task(lambda statement, _: tenants.create(statement)),
            DropTenant: _Task(self._drop),
            MinorFreeze: _Task(self._freeze),
            ArchiveLog: _Task(self._start_round),
            NoArchiveLog: _Task(self._stop_round),
            CancelAllBackup: _Task(self._cancel_all),
            BackupDatabase: _Task(lambda statement, session: backups.start(statement, encryption_of(session))),
            CancelBackup: _Task(lambda *_: backups.cancel()),
            SecondBackup: _Task(lambda statement, _: second.start(statement)),
            CancelSecondBackup: _Task(lambda statement, _: second.cancel(statement)),
            DeleteBackup: _Task(lambda statement, _: deletion.delete(statement)),
            DeleteObsoleteBackup: _Task(lambda *_: deletion.delete_obsolete()),
            PreviewObsolete: _Task(lambda *_: deletion.preview_obsolete(), columns=PREVIEW_COLUMNS),
            KeepBackup: _Task(holds.change),
            CancelDeleteBackup: _Task(lambda *_: deletion.cancel()),
            RestoreTenant: _Task(restores.restore),
            RestoreStandby: _Task(restores.restore_standby),
            CancelRestore: _Task(lambda statement, _: restores.cancel(statement)),
            RecoverStandby: _Task(standbys.recover),
            ActivateStandby: _Task(lambda statement, _: standbys.activate(statement)),
            AddRestoreSource: _Task(_add_source),
            ClearRestoreSource: _Task(_clear_sources),
            SetEncryption: _Task(set_encryption),
            SetDecryption: _Task(set_decryption),
            ChangeDestinationAccess: _Task(lambda statement, _: keys.change(statement)),
        }

    async def handle(self, statement: Statement, session: Session) -> Answer | None:
        """The answer to a statement, None if the engine must answer it. Raises SqlError."""
        if isinstance(statement, AccountWithHost):
            raise not_supported(
                f"the host part of {statement.user[:64]!r}@{statement.host[:64]!r}",
                "an engine does not know where a client comes from, so nobody could log in with the account; leave the "
                "host part out, and limit the tenant's addresses with SET GLOBAL ob_tcp_invited_nodes",
            )
        if isinstance(statement, MisspelledSecret):
            raise misspelled_secret()
        if session.tenant != SYS_TENANT:
            await _check_tenants_own(statement, session)
            return None
        task = self.tasks.get(type(statement))
        try:
            if task is not None and not task.needs_alter_system:
                return await task.run(statement, session)
            await check_privilege(session)
            if task is None:
                refusal = REFUSALS[type(statement)]
                raise refusal()
            return await task.run(await self._keys.taken_from(statement), session) or Ok()
        except CatalogError as error:
            raise engine_away(str(error)) from error

    def columns(self, statement: Statement, tenant: str) -> tuple[Column, ...]:
        """The columns of the rows that a statement will answer; in a user tenant, only SHOW PARAMETERS has rows."""
        task = self.tasks.get(type(statement))
        is_known = tenant == SYS_TENANT or isinstance(statement, ShowParameters)
        return task.columns if task is not None and is_known else ()

    async def _set(self, statement: SetParameters, session: Session) -> Ok | None:
        if any(item.name == LOG_RESTORE_SOURCE for item in statement.assignments):
            await check_privilege(session)
            if len(statement.assignments) > 1:
                raise not_supported_text("log_restore_source with other parameters", "set it in a statement of its own")
            await self._standbys.set_source(statement.assignments[0])
            return Ok()
        return await self._settings.set(
            statement,
            session,
            is_cleaning=lambda: self._deletion.is_running,
            is_backing_up=lambda: self._backups.is_running,
            is_copying=lambda: self._second.is_running,
        )

    async def _start_round(self, statement: ArchiveLog, _session: Session) -> None:
        check_whole_cluster(statement.tenants, self._tenants)
        await self._archiving.start()

    async def _stop_round(self, statement: NoArchiveLog, _session: Session) -> None:
        check_whole_cluster(statement.tenants, self._tenants)
        await self._archiving.stop()

    async def _cancel_all(self, _statement: CancelAllBackup, _session: Session) -> None:
        await self._settings.clear_destination()
        await self._backups.abandon()
        await self._second.abandon()
        await self._archiving.cancel()

    async def _drop(self, statement: DropTenant, _session: Session) -> Ok:
        """Drop a tenant; a running data backup continues without the tenant."""
        tenant = self._tenants.named(statement.name)
        if tenant is not None:
            await self._backups.leave(tenant.tenant_id)
        return await self._tenants.drop(statement)

    async def _freeze(self, statement: MinorFreeze, session: Session) -> None:
        """Freeze the named tenants, or all user tenants. Ignores servers and zones, because there is one of each."""
        names = [name.lower() for name in statement.tenants]
        if not names or statement.tenants == ALL_TENANTS:
            names = [tenant.name for tenant in self._tenants.all]
        unknown = [name for name in names if name != SYS_TENANT and self._tenants.named(name) is None]
        if unknown:
            raise unknown_tenant(unknown[0])
        for name in names:
            tenant = self._tenants.named(name)
            if tenant is None:
                await session.query("ALTER SYSTEM MINOR FREEZE")
                continue
            try:
                await asyncio.to_thread(tenant.engine.minor_freeze)
            except OSError as error:
                raise engine_away(str(error)) from error


async def _show_preview(_statement: ShowRestorePreview, session: Session) -> Answer:
    return restore_session(session).shown()


async def _add_source(statement: AddRestoreSource, session: Session) -> None:
    """Add a source for this session's next restore."""
    restore_session(session).add(statement.uri)


async def _clear_sources(_statement: ClearRestoreSource, session: Session) -> None:
    restore_session(session).sources.clear()


async def _check_tenants_own(statement: Statement, session: Session) -> None:
    """In a user tenant: refuse statements of the cluster; the engine answers all others. Raises SqlError."""
    match statement:
        case ShowParameters() | ShowTenants() | MinorFreeze():
            return
        case ShowRestorePreview():
            raise no_preview()
        case SetParameters():
            if any(item.name in OURS for item in statement.assignments):
                await check_privilege(session)
                raise unknown_config()  # as OceanBase, which searches only the tenant's own parameters
        case RecoverStandby() | ActivateStandby() | Switchover():
            raise not_supported(
                "a change of the tenant's role in a user tenant", f"run it as root@sys, with TENANT = {session.tenant}"
            )
        case _:
            raise no_privilege()
