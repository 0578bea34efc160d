"""Answers the statements that Redoubt takes out of a session: who may, and who does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redoubt.catalog.session import CatalogError
from redoubt.control.backups.data_backups import DataBackups
from redoubt.control.backups.deletion import Deletion
from redoubt.control.cluster import SYS_TENANT
from redoubt.control.restores.restore_session import no_preview, restore_session
from redoubt.control.restores.restores import Restores
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.session import Session, check_privilege
from redoubt.control.statements.settings import OURS, Settings
from redoubt.control.tenants.tenants import Tenants, check_whole_cluster
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.errors import (
    SqlError,
    engine_away,
    invalid_argument,
    no_privilege,
    not_supported_feature,
    unknown_config,
    unknown_tenant,
)
from redoubt.sql.statements import (
    ALL_TENANTS,
    AddRestoreSource,
    ArchiveLog,
    BackupDatabase,
    CancelAllBackup,
    CancelBackup,
    CancelValidate,
    ClearRestoreSource,
    CreateTenant,
    DeleteBackup,
    DeleteExpiredBackup,
    DeleteObsoleteBackup,
    DropTenant,
    MinorFreeze,
    NoArchiveLog,
    RestoreTables,
    RestoreTenant,
    ResumeBackup,
    SecondBackup,
    SetParameters,
    ShowParameters,
    ShowRestorePreview,
    ShowTenants,
    Statement,
    SuspendBackup,
    ValidateBackup,
)

_REFUSALS: dict[type[Statement], Callable[[], SqlError]] = {
    SuspendBackup: lambda: not_supported_feature("a backup is not suspended; ALTER SYSTEM NOARCHIVELOG ends a round"),
    ResumeBackup: lambda: not_supported_feature("a backup is not suspended; ALTER SYSTEM ARCHIVELOG begins a round"),
    DeleteExpiredBackup: lambda: invalid_argument(
        "delete expired backup", "nothing here expires; ALTER SYSTEM DELETE OBSOLETE BACKUP deletes what is not needed"
    ),
    ValidateBackup: lambda: not_supported_feature("this version validates no backups"),
    CancelValidate: lambda: not_supported_feature("this version validates no backups"),
    SecondBackup: lambda: not_supported_feature("second backups are the Enterprise Edition's; copy the destination"),
    RestoreTables: lambda: not_supported_feature(
        "tables are not restored by themselves; restore the tenant under another name, and copy them from there"
    ),
}
"""What OceanBase knows the words of, and answers with an error, always or here."""


class Handler:
    """One for the service; sessions share it."""

    def __init__(
        self,
        tenants: Tenants,
        archiving: Archiving,
        settings: Settings,
        deletion: Deletion,
        backups: DataBackups,
        restores: Restores,
    ) -> None:
        self._tenants = tenants
        self._archiving = archiving
        self._settings = settings
        self._deletion = deletion
        self._backups = backups
        self._restores = restores

    async def handle(self, statement: Statement, session: Session) -> Answer | None:
        """The answer to a statement, None if it is the engine's to answer. Raises SqlError."""
        if session.tenant != SYS_TENANT:
            await _check_tenants_own(statement, session)
            return None
        try:
            match statement:
                case ShowParameters():
                    return await self._settings.show(statement, session)
                case ShowTenants():
                    return await self._tenants.show(statement)
                case ShowRestorePreview():
                    return restore_session(session).shown()
                case SetParameters():
                    return await self._settings.set(
                        statement,
                        session,
                        is_cleaning=self._deletion.is_running,
                        is_backing_up=self._backups.is_running,
                    )
            await check_privilege(session)
            if (refusal := _REFUSALS.get(type(statement))) is not None:
                raise refusal()
            return await self._run(statement, session)
        except CatalogError as error:
            raise engine_away(str(error)) from error

    async def _run(self, statement: Statement, session: Session) -> Ok:
        match statement:
            case CreateTenant():
                return await self._tenants.create(statement)
            case DropTenant():
                return await self._drop(statement)
            case MinorFreeze():
                await self._freeze(statement, session)
            case ArchiveLog() | NoArchiveLog() | CancelAllBackup():
                await self._switch(statement)
            case RestoreTenant() | AddRestoreSource() | ClearRestoreSource():
                return await self._restore(statement, session)
            case _:
                await self._maintain(statement)
        return Ok()

    async def _maintain(self, statement: Statement) -> None:
        """Run a statement about data backups, or about backups that are there."""
        match statement:
            case BackupDatabase():
                await self._backups.start(statement)
            case CancelBackup():
                await self._backups.cancel()
            case DeleteBackup():
                await self._deletion.delete(statement)
            case DeleteObsoleteBackup():
                await self._deletion.delete_obsolete()
            case _:  # CancelDeleteBackup
                await self._deletion.cancel()

    async def _restore(self, statement: RestoreTenant | AddRestoreSource | ClearRestoreSource, session: Session) -> Ok:
        """Restore a tenant, or name what this session's next restore is from."""
        match statement:
            case RestoreTenant():
                return await self._restores.restore(statement, session)
            case AddRestoreSource():
                restore_session(session).add(statement.uri)
            case _:  # ClearRestoreSource
                restore_session(session).sources.clear()
        return Ok()

    async def _switch(self, statement: ArchiveLog | NoArchiveLog | CancelAllBackup) -> None:
        """Begin or end a round."""
        match statement:
            case ArchiveLog():
                check_whole_cluster(statement.tenants, self._tenants)
                await self._archiving.start()
            case NoArchiveLog():
                check_whole_cluster(statement.tenants, self._tenants)
                await self._archiving.stop()
            case _:  # CancelAllBackup
                await self._settings.clear_destination()
                await self._backups.abandon()
                await self._archiving.cancel()

    async def _drop(self, statement: DropTenant) -> Ok:
        """Drop a tenant; a data backup that is under way goes on without it."""
        tenant = self._tenants.named(statement.name)
        if tenant is not None:
            await self._backups.leave(tenant.tenant_id)
        return await self._tenants.drop(statement)

    async def _freeze(self, statement: MinorFreeze, session: Session) -> None:
        """Freeze the named tenants, all user tenants if none is named; servers and zones: there is one of each."""
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


async def _check_tenants_own(statement: Statement, session: Session) -> None:
    """In a user tenant: what is the cluster's is refused, everything else is the engine's. Raises SqlError."""
    match statement:
        case ShowParameters() | ShowTenants() | MinorFreeze():
            return
        case ShowRestorePreview():
            raise no_preview()
        case SetParameters():
            if any(item.name in OURS for item in statement.assignments):
                await check_privilege(session)
                raise unknown_config()  # as OceanBase: it looks only among the tenant's own
        case _:
            raise no_privilege()
