"""What the archive worker is told of a round."""

from __future__ import annotations

from typing import Protocol

from redoubt.archiver.messages import ArchiveRound, Command
from redoubt.catalog.catalog import Catalog
from redoubt.control.cluster import Cluster, Tenant
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round


class WorkerLink(Protocol):
    """What is asked of the worker; `WorkerProcess` does it."""

    def send(self, command: Command) -> None:
        """Tell the worker."""

    def kill(self) -> None:
        """End a worker that does not answer."""


def round_task(cluster: Cluster, tenant: Tenant, of: Round, hole: Hole | None, catalog: Catalog) -> ArchiveRound:
    """The worker's task for a tenant's round, whose log is held; `hole` is the one that broke the round, if any.

    Blocks. Raises OSError while the engine does not answer, CatalogError while the catalog does not.
    """
    is_new = of.tenants[tenant.tenant_id].checkpoint_scn == 0
    return ArchiveRound(
        tenant_id=tenant.tenant_id,
        tenant=tenant.name,
        base_dir=str(tenant.base_dir),
        source=tenant.engine.source_id(),
        destination=of.destination,
        cluster=cluster.name,
        cluster_id=cluster.cluster_id,
        identity=cluster.identity,
        round=of.round_id,
        piece=0,
        start_scn=of.start_scn,
        start_lsn=tenant.engine.start_point().lsn if is_new else None,
        after=catalog.round_before(of.round_id, of.destination),
        broken_by=hole.cause if hole else "",
        broken_at=hole.opened_at if hole else 0,
    )
