"""What a destination holds, found by looking: clusters, tenants, the log of their pieces, their data backups.

A restore needs nothing but the destination: no catalog, no service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.layout import INCARNATION, ClusterPath, Interruption, PiecePath, RoundInfo
from redoubt.archive.set_layout import SetPath, data_folder, set_path
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun
from redoubt.model.seams import Destination, ObjectMissingError


@dataclass(frozen=True)
class TenantPath:
    """One tenant of one cluster in a destination; `name` is what it was called when its last piece or set began."""

    cluster: ClusterPath
    tenant_id: int
    name: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.name} (id {self.tenant_id}) of {self.cluster.cluster}#{self.cluster.cluster_id}"


@dataclass(frozen=True)
class PieceHeld:
    """A piece in a destination: its store, its claim, and its log; None where it has none, or was deleted."""

    key: PieceKey
    store: PieceStore
    info: RoundInfo
    run: LogRun | None


@dataclass(frozen=True)
class SetHeld:
    """A data backup in a destination: its store, and what it consists of; None where it is not complete."""

    key: SetKey
    store: SetStore
    manifest: SetManifest | None


@dataclass(frozen=True)
class Inventory:
    """What there is of one tenant, in order. `damage` has what could not be read, and is left out."""

    tenant: TenantPath
    pieces: tuple[PieceHeld, ...]
    sets: tuple[SetHeld, ...]
    damage: tuple[str, ...] = ()

    @property
    def runs(self) -> list[LogRun]:
        """The log that there is."""
        return [piece.run for piece in self.pieces if piece.run is not None]


def clusters(destination: Destination) -> Iterator[ClusterPath]:
    """The clusters that have archived here."""
    for name in destination.folders(""):
        for number in destination.folders(name):
            if number.isdecimal() and f"incarnation_{INCARNATION}" in destination.folders(f"{name}/{number}"):
                yield ClusterPath(name, int(number))


def tenants(destination: Destination, cluster: ClusterPath) -> Iterator[TenantPath]:
    """The tenants of a cluster that have log or data backups here, in the order of their ids."""
    numbers = (int(folder) for folder in destination.folders(str(cluster)) if folder.isdecimal())
    for tenant_id in sorted(numbers):
        yield TenantPath(cluster, tenant_id, _name_of(destination, cluster, tenant_id))


def take_inventory(destination: Destination, tenant: TenantPath) -> Inventory:
    """What there is of a tenant now. Raises DestinationError."""
    damage: list[str] = []
    pieces = list(pieces_of(destination, tenant, damage))
    sets = list(_sets(destination, tenant, damage))
    return Inventory(tenant, tuple(pieces), tuple(sets), tuple(damage))


def run_of(key: PieceKey, store: PieceStore, info: RoundInfo) -> LogRun | None:
    """The log of a piece, None if there is none, or it was deleted. Raises ArchiveError."""
    if _is_there(store.destination, store.path.deletion):
        return None
    end = store.resume(info)
    if not end.segments:
        return None
    broken = store.recorded(Interruption, store.path.interruption)
    return LogRun(
        key=key,
        source=info.source,
        start_lsn=info.start_lsn,
        end_lsn=end.position.lsn,
        start_scn=info.start_scn,
        end_scn=end.position.scn,
        cause=broken.cause if broken else "",
    )


def pieces_of(destination: Destination, tenant: TenantPath, damage: list[str]) -> Iterator[PieceHeld]:
    """The pieces of a tenant, in order; what cannot be read is said in `damage`. Raises DestinationError."""
    names = destination.folders(tenant.cluster.clog(tenant.tenant_id))
    for key in sorted(key for name in names if (key := PieceKey.parse(name)) is not None):
        store = PieceStore(destination, tenant.cluster.piece(tenant.tenant_id, key))
        try:
            info = store.record(RoundInfo, store.path.info)
            yield PieceHeld(key, store, info, run_of(key, store, info))
        except ObjectMissingError:  # begun, and not claimed yet
            continue
        except ArchiveError as error:
            damage.append(str(error))


def _sets(destination: Destination, tenant: TenantPath, damage: list[str]) -> Iterator[SetHeld]:
    names = destination.folders(data_folder(tenant.cluster, tenant.tenant_id))
    for key in sorted(key for name in names if (key := SetKey.parse(name)) is not None):
        store = SetStore(destination, set_path(tenant.cluster, tenant.tenant_id, key))
        if _is_there(destination, store.path.deletion):
            continue
        try:
            yield SetHeld(key, store, store.manifest())
        except ArchiveError as error:
            damage.append(str(error))


def _name_of(destination: Destination, cluster: ClusterPath, tenant_id: int) -> str:
    """The name in the tenant's last claim; empty if there is none that can be read."""
    keys = [key for name in destination.folders(cluster.clog(tenant_id)) if (key := PieceKey.parse(name))]
    for key in sorted(keys, reverse=True):
        store = PieceStore(destination, PiecePath(f"{cluster.clog(tenant_id)}/{key}"))
        try:
            return store.record(RoundInfo, store.path.info).tenant
        except (ArchiveError, ObjectMissingError):
            continue
    return _name_in_sets(destination, cluster, tenant_id)


def _name_in_sets(destination: Destination, cluster: ClusterPath, tenant_id: int) -> str:
    keys = [key for name in destination.folders(data_folder(cluster, tenant_id)) if (key := SetKey.parse(name))]
    for key in sorted(keys, reverse=True):
        try:
            return SetStore(destination, SetPath(f"{data_folder(cluster, tenant_id)}/{key}")).info().tenant
        except (ArchiveError, ObjectMissingError):
            continue
    return ""


def _is_there(destination: Destination, name: str) -> bool:
    try:
        destination.get(name, 0, 1)
    except ObjectMissingError:
        return False
    return True
