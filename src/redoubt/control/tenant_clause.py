"""The TENANT clause of OceanBase 4.x, where a statement is about rounds: they are the cluster's, not a tenant's."""

from __future__ import annotations

from redoubt.control.cluster import SYS_TENANT
from redoubt.control.tenants import Tenants
from redoubt.sql.errors import not_supported, unknown_tenant
from redoubt.sql.statements import ALL_TENANTS


def check_whole_cluster(named: tuple[str, ...], tenants: Tenants) -> None:
    """See that a clause names no tenant, ALL, or every user tenant: that is the same. Raises SqlError 1235 and 5157."""
    if not named or named == ALL_TENANTS:
        return
    names = {name.lower() for name in named}
    for name in named:
        if name.lower() != SYS_TENANT and tenants.named(name) is None:
            raise unknown_tenant(name)
    if names != {tenant.name for tenant in tenants.all}:
        raise not_supported(
            "log archive of some of the tenants",
            "a round is the cluster's and archives all user tenants (and not sys); leave the TENANT clause out, or "
            "write TENANT = ALL",
        )
