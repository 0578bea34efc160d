"""The gateway's view of the tenants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from redoubt.control.cluster import SYS_TENANT, Tenant
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.tenants.tenants import Tenants
from redoubt.gateway.seams import WriteGate
from redoubt.model.engine_kind import EngineKind


class Directory:
    """`is_open_door` says whether anybody could log in to a tenant as root: then the gateway lets nobody in.

    `kind_of` gives the engine kind of a name; see `engine_kind`.
    """

    def __init__(
        self,
        cluster_name: str,
        sys_socket: Path,
        tenants: Tenants,
        archiving: Archiving,
        is_open_door: Callable[[Tenant], bool],
        kind_of: Callable[[str], EngineKind],
        *,
        allows_empty_password: bool,
    ) -> None:
        self.cluster_name = cluster_name
        self.allows_empty_password = allows_empty_password
        self._sys_socket = sys_socket
        self._tenants = tenants
        self._archiving = archiving
        self._is_open_door = is_open_door
        self._kind_of = kind_of

    def socket_of(self, tenant: str) -> Path | None:
        """See `TenantDirectory`."""
        if tenant == SYS_TENANT:
            return self._sys_socket
        found = self._tenants.named(tenant)
        if found is None or self._is_open_door(found):
            return None
        return self._kind_of(found.engine_kind).socket(found.base_dir)

    def gate_of(self, tenant: str) -> WriteGate | None:
        """See `TenantDirectory`."""
        gates = (archive.gate for archive in self._archiving.archives if archive.tenant.name == tenant)
        return next(gates, None)
