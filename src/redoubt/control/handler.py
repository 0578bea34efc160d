"""Answers the statements that Redoubt takes out of a session."""

from __future__ import annotations

import asyncio
from typing import Protocol

from redoubt.catalog.session import CatalogError
from redoubt.control.archiving import Archiving
from redoubt.control.cluster import SYS_TENANT
from redoubt.control.parameters import BACKUP_DEST, PARAMETERS, Parameters
from redoubt.control.tenants import Tenants
from redoubt.model.rounds import RoundStatus
from redoubt.sql.answers import Answer, Ok, Rows
from redoubt.sql.errors import SqlError, backup_in_progress, engine_away, no_privilege, unknown_config, unknown_tenant
from redoubt.sql.statements import (
    ALL_TENANTS,
    ArchiveLog,
    Assignment,
    MinorFreeze,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
    Statement,
)

_UNKNOWN_CONFIG = 5099


class Session(Protocol):
    """What is needed of the session that a statement came in."""

    @property
    def tenant(self) -> str:
        """The session's tenant."""

    async def query(self, sql: str) -> Ok | Rows:
        """Run SQL on the session's own engine connection, as its user. Raises SqlError."""


class Handler:
    """One for the service; sessions share it."""

    def __init__(self, tenants: Tenants, archiving: Archiving, parameters: Parameters) -> None:
        self._tenants = tenants
        self._archiving = archiving
        self._parameters = parameters

    async def handle(self, statement: Statement, session: Session) -> Answer | None:
        """The answer to a statement, None if it is the engine's to answer. Raises SqlError."""
        if session.tenant != SYS_TENANT:
            if isinstance(statement, ArchiveLog | NoArchiveLog):
                raise no_privilege()
            return None
        try:
            match statement:
                case ShowParameters():
                    return await self._show(statement, session)
                case SetParameters():
                    return await self._set(statement, session)
                case ArchiveLog():
                    await _check_privilege(session)
                    await self._archiving.start()
                case NoArchiveLog():
                    await _check_privilege(session)
                    await self._archiving.stop()
                case MinorFreeze():
                    await _check_privilege(session)
                    await self._freeze(statement, session)
                case _:
                    return None
        except CatalogError as error:
            raise engine_away(str(error)) from error
        return Ok()

    async def _show(self, statement: ShowParameters, session: Session) -> Rows:
        """The engine's own parameters, and ours that meet the same condition: the engine judges both."""
        own = await session.query(statement.sql)
        assert isinstance(own, Rows)
        columns = [column.name for column in own.columns]
        sql = f"SELECT * FROM ({self._parameters.rows_sql(columns, _quoted)}) p"
        if statement.like is not None:
            sql += f" WHERE name LIKE {_quoted(statement.like)}"
        elif statement.where is not None:
            sql += f" WHERE {statement.where}"
        ours = await session.query(sql)
        assert isinstance(ours, Rows)
        return Rows(own.columns, own.rows + ours.rows)

    async def _set(self, statement: SetParameters, session: Session) -> Ok | None:
        """Check ours, let the engine check and set its own, then set ours."""
        ours = [item for item in statement.assignments if item.name in PARAMETERS]
        if not ours:
            return None
        await _check_privilege(session)
        values = {item.name: item.value for item in ours}
        for item in ours:
            await self._check(item)
        self._parameters.check(values)
        engines = [item.sql for item in statement.assignments if item.name not in PARAMETERS]
        if engines:
            await session.query(f"ALTER SYSTEM SET {', '.join(engines)}")
        await asyncio.to_thread(self._parameters.change, values)
        self._archiving.parameters_changed()
        return Ok()

    async def _check(self, item: Assignment) -> None:
        """Refuse a value that cannot be set now, and one that is meant for a part of the cluster only."""
        if "tenant" in item.clauses:
            raise unknown_config()  # as OceanBase: no such parameter among a tenant's
        if item.name == BACKUP_DEST:
            if self._archiving.round.status is not RoundStatus.STOP:
                raise backup_in_progress()
            if item.value:
                await self._archiving.check_new_destination(item.value)

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


async def _check_privilege(session: Session) -> None:
    """Let the engine judge: it refuses a parameter that does not exist only to those who may set one."""
    try:
        await session.query("ALTER SYSTEM SET __redoubt_privilege_probe = ''")
    except SqlError as error:
        if error.code != _UNKNOWN_CONFIG:
            raise


def _quoted(text: str) -> str:
    """A text as SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
