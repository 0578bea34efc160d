"""The archive worker's tasks for a tenant's part of a round, piece by piece."""

from __future__ import annotations

from typing import Protocol

from redoubt.catalog.catalog import Catalog
from redoubt.control.cluster import Cluster, Tenant
from redoubt.messages.archiving import ArchivePiece, Command
from redoubt.model.holes import Hole
from redoubt.model.pieces import Piece
from redoubt.model.rounds import Round


class WorkerLink(Protocol):
    """The connection to the worker; `WorkerProcess` implements it."""

    def send(self, command: Command) -> None:
        """Send a command to the worker."""

    def kill(self) -> None:
        """Kill a worker that does not answer."""


def piece_tasks(cluster: Cluster, tenant: Tenant, of: Round, hole: Hole | None, catalog: Catalog) -> list[ArchivePiece]:
    """The worker's tasks for a tenant's open pieces of a round, in order; `hole` is the hole after a broken round.

    A cut piece counts as complete; the interruption is recorded in the next piece. Hold the log before. Blocks. Raises
    OSError while the engine does not answer, CatalogError while the catalog does not answer.
    """
    return [_task(cluster, tenant, of, piece, hole, catalog) for piece in of.open_pieces(tenant.tenant_id)]


def _task(
    cluster: Cluster, tenant: Tenant, of: Round, piece: Piece, hole: Hole | None, catalog: Catalog
) -> ArchivePiece:
    part = piece.tenants[tenant.tenant_id]
    previous = _previous(of, piece, tenant.tenant_id)
    is_new = previous is None and of.tenants[tenant.tenant_id].checkpoint_scn == 0
    following = of.piece(piece.piece_id + 1) if piece.switch_scn else None
    return ArchivePiece(
        tenant_id=tenant.tenant_id,
        tenant=tenant.name,
        base_dir=str(tenant.base_dir),
        source=tenant.engine.source_id(),
        destination=of.destination,
        cluster=cluster.name,
        cluster_id=cluster.cluster_id,
        identity=cluster.identity,
        round=of.round_id,
        piece=piece.piece_id,
        create_date=piece.key(of.round_id).create_date,
        start_scn=part.start_scn,
        start_lsn=tenant.engine.start_point().lsn if is_new else None,
        previous_piece=previous.piece_id if previous else 0,
        previous_date=previous.create_date if previous else 0,
        next_piece=following.piece_id if following else 0,
        next_date=following.create_date if following else 0,
        switch_scn=piece.switch_scn,
        after=catalog.round_before(of.round_id, of.destination) if previous is None else None,
        broken_by=hole.cause if hole else "",
        broken_at=hole.opened_at if hole else 0,
        engine_kind=tenant.engine_kind,
    )


def _previous(of: Round, piece: Piece, tenant_id: int) -> Piece | None:
    """The previous piece of a tenant's log, None without one."""
    before = of.piece(piece.piece_id - 1)
    is_there = before is not None and tenant_id in before.tenants and before.tenants[tenant_id].has_begun
    return before if is_there else None
