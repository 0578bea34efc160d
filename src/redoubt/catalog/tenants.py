"""Typed reads and writes of the tenants. Methods block, may be called from any thread, and are each one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession

if TYPE_CHECKING:
    from collections.abc import Mapping

_TROUBLE_LENGTH = 4000
_COLUMNS = (
    *("tenant_id", "tenant_name", "kind", "base_dir", "status", "created_at", "modified_at", "options"),
    *("engine_kind", "role"),
)


class TenantKind(StrEnum):
    """The kind of a tenant: its engine is run by the service (EMBEDDED) or by an application (EXTERNAL)."""

    EMBEDDED = "EMBEDDED"
    EXTERNAL = "EXTERNAL"


class TenantRole(StrEnum):
    """The role of a tenant: its engine writes log of its own (PRIMARY), or only follows archived log (STANDBY)."""

    PRIMARY = "PRIMARY"
    STANDBY = "STANDBY"


class TenantStatus(StrEnum):
    """The status of a tenant. A DROPPED row stays, so that its id is never reused."""

    CREATING = "CREATING"
    RESTORING = "RESTORING"
    NORMAL = "NORMAL"
    DROPPING = "DROPPING"
    DROPPED = "DROPPED"


@dataclass(frozen=True)
class TenantRecord:
    """A user tenant as the catalog has it. Times in ns since the epoch.

    `base_dir` is empty for an embedded tenant: its engine's directory is in the home, which may be moved. `options` are
    those of CREATE TENANT, by name in upper case, for display. `engine_kind` is the name of the engine's kind.
    """

    tenant_id: int
    name: str
    kind: TenantKind
    base_dir: str
    status: TenantStatus
    created_at: int
    modified_at: int
    options: Mapping[str, str]
    engine_kind: str
    role: TenantRole = TenantRole.PRIMARY


class TenantTable:
    """The tenants of the cluster, sys aside. Raises CatalogError."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def load(self) -> list[TenantRecord]:
        """Every tenant, dropped ones included, in the order of their ids."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM {tables.TENANT_TABLE} ORDER BY tenant_id")
            return [
                TenantRecord(
                    tenant_id=row[0],
                    name=row[1],
                    kind=TenantKind(row[2]),
                    base_dir=row[3],
                    status=TenantStatus(row[4]),
                    created_at=row[5],
                    modified_at=row[6],
                    options=json.loads(row[7]),
                    engine_kind=row[8],
                    role=TenantRole(row[9]),
                )
                for row in cursor.fetchall()
            ]

    def put(self, record: TenantRecord) -> None:
        """Write a tenant's row without trouble; a DROPPED tenant's other state is deleted."""
        values = [
            record.tenant_id,
            record.name,
            str(record.kind),
            record.base_dir,
            str(record.status),
            record.created_at,
            record.modified_at,
            json.dumps(dict(record.options)),
            record.engine_kind,
            str(record.role),
        ]
        with self._session.transaction() as cursor:
            cursor.execute(
                f"REPLACE INTO {tables.TENANT_TABLE} ({', '.join(_COLUMNS)}, trouble, trouble_since) "
                f"VALUES ({', '.join(['%s'] * len(_COLUMNS))}, '', 0)",
                values,
            )
            if record.status is TenantStatus.DROPPED:
                for table in (tables.STATE_TABLE, tables.STANDBY_TABLE):
                    cursor.execute(f"DELETE FROM {table} WHERE tenant_id = %s", (record.tenant_id,))

    def remove(self, tenant_id: int) -> None:
        """Remove the row of a tenant whose creation failed."""
        with self._session.transaction() as cursor:
            cursor.execute(f"DELETE FROM {tables.TENANT_TABLE} WHERE tenant_id = %s", (tenant_id,))

    def set_trouble(self, tenant_id: int, trouble: str, since: int) -> None:
        """Write why a tenant's engine is unreachable, and since when; empty if reachable."""
        text = trouble[:_TROUBLE_LENGTH].encode(errors="replace").decode()  # it may name files
        with self._session.transaction() as cursor:
            cursor.execute(
                f"UPDATE {tables.TENANT_TABLE} SET trouble = %s, trouble_since = %s WHERE tenant_id = %s",
                (text, since, tenant_id),
            )
