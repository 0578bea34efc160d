"""Finds the restorable moments of a destination's tenants, and the recorded causes of the gaps between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.deletion import Deletion
from redoubt.archive.inventory import Inventory, PieceHeld, TenantPath, clusters, take_inventory, tenants
from redoubt.archive.layout import HoleInfo
from redoubt.archive.store import ArchiveError
from redoubt.model.coverage import ENDLESS, Coverage, Obstacle, coverage
from redoubt.model.seams import Destination


@dataclass(frozen=True)
class TenantCoverage:
    """A tenant and its coverage. `damage` names unreadable objects; they count as missing."""

    tenant: TenantPath
    coverage: Coverage
    damage: tuple[str, ...]


def cover(destination: Destination, wanted: str | None = None) -> Iterator[TenantCoverage]:
    """Every tenant, or the one of that name or id. Raises DestinationError."""
    for cluster in clusters(destination):
        for tenant in tenants(destination, cluster):
            if wanted is None or tenant.is_called(wanted):
                yield _covered(destination, tenant)


def _covered(destination: Destination, tenant: TenantPath) -> TenantCoverage:
    inventory = take_inventory(destination, tenant)
    obstacles, damage = list[Obstacle](), list(inventory.damage)
    for piece in inventory.pieces:
        try:
            obstacles += _obstacles(piece)
        except ArchiveError as error:
            damage.append(str(error))
    bases = [each.manifest.summary.base for each in inventory.sets if each.manifest is not None]
    found = coverage(bases, inventory.runs, obstacles, is_live=_is_live(inventory))
    return TenantCoverage(tenant, found, tuple(damage))


def _obstacles(piece: PieceHeld) -> Iterator[Obstacle]:
    """The causes of missing log recorded in a piece's folder: the hole before the piece first, its own end last."""
    store, manifest = piece.store, piece.store.manifest()
    if hole := store.recorded(HoleInfo, store.path.hole):
        yield Obstacle(hole.start_scn, hole.end_scn, hole.cause)
    if gone := store.recorded(Deletion, store.path.deletion):
        end = manifest.piece.end_scn if manifest else piece.info.start_scn
        yield Obstacle(
            piece.info.start_scn, max(end, piece.info.start_scn), f"deleted: {gone.statement} on {gone.host}"
        )
    elif broken := store.interruption():
        yield Obstacle(broken.end_scn, ENDLESS, broken.cause)
    elif manifest and piece.run:
        yield Obstacle(manifest.piece.end_scn, ENDLESS, "archiving was stopped")


def _is_live(inventory: Inventory) -> bool:
    """Whether the last piece is still being written, judged by its folder."""
    if not inventory.pieces:
        return False
    last = inventory.pieces[-1]
    names = {last.store.path.manifest, last.store.path.interruption, last.store.path.deletion}
    return not names & {each.name for each in last.store.destination.list(last.store.path.folder)}
