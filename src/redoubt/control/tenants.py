"""The cluster's tenants: which there are, and the statements that make and drop them."""

from __future__ import annotations

from redoubt.control.cluster import Tenant
from redoubt.sql.answers import Rows
from redoubt.sql.errors import not_supported
from redoubt.sql.statements import CreateTenant, DropTenant, ShowTenants


class Tenants:
    """For the event loop. User tenants only: sys is none of them."""

    def __init__(self, tenants: list[Tenant]) -> None:
        self._tenants = {tenant.name: tenant for tenant in tenants}

    @property
    def all(self) -> list[Tenant]:
        """The user tenants, in the order of their ids."""
        return list(self._tenants.values())

    def named(self, name: str) -> Tenant | None:
        """The tenant of a name, in any case; None if there is none."""
        return self._tenants.get(name.lower())

    async def create(self, statement: CreateTenant) -> None:
        """`CREATE TENANT`: returns when the tenant can be logged in to. Raises SqlError."""
        raise not_supported(f"CREATE TENANT {statement.name}")

    async def drop(self, statement: DropTenant) -> None:
        """`DROP TENANT`: returns when the tenant is gone. Raises SqlError."""
        raise not_supported(f"DROP TENANT {statement.name}")

    async def show(self, statement: ShowTenants) -> Rows:
        """`SHOW TENANTS`."""
        raise not_supported(f"SHOW TENANTS {statement.like or ''}")
