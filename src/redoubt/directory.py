"""The gateway's view of the tenants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from redoubt.control.cluster import SYS_TENANT, Tenant
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.tenants.tenants import Tenants
from redoubt.engines.seekdb.files import BaseDir
from redoubt.gateway.seams import WriteGate


class Directory:
    """`is_open_door` says whether anybody could log in to a tenant as root: then nobody can come in by the gateway."""

    def __init__(
        self,
        cluster_name: str,
        sys: BaseDir,
        tenants: Tenants,
        archiving: Archiving,
        is_open_door: Callable[[Tenant], bool],
    ) -> None:
        self.cluster_name = cluster_name
        self._sys = sys
        self._tenants = tenants
        self._archiving = archiving
        self._is_open_door = is_open_door

    def socket_of(self, tenant: str) -> Path | None:
        """See `TenantDirectory`."""
        if tenant == SYS_TENANT:
            return self._sys.socket
        found = self._tenants.named(tenant)
        return None if found is None or self._is_open_door(found) else BaseDir(found.base_dir).socket

    def gate_of(self, tenant: str) -> WriteGate | None:
        """See `TenantDirectory`."""
        gates = (archive.gate for archive in self._archiving.archives if archive.tenant.name == tenant)
        return next(gates, None)
