"""The inventory of a destination: clusters, tenants, the log of their pieces, their data backups.

The inventory is read from the destination alone. So a restore needs no catalog and no service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from redoubt.archive.deletion import Deletion
from redoubt.archive.layout import (
    INCARNATION,
    ClusterPath,
    HoleInfo,
    PieceInfo,
    PiecePath,
    is_cluster_name,
    number_of,
)
from redoubt.archive.manifest import Manifest
from redoubt.archive.set_layout import SetIdentity, SetPath, data_folder, set_path
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore, exists, look_until_settled
from redoubt.model.bases import SetKey
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun
from redoubt.model.seams import Destination, ObjectMissingError

_STOPPED = "archiving was stopped (NOARCHIVELOG)"


@dataclass(frozen=True)
class TenantPath:
    """One tenant of one cluster in a destination; `name` is its name when its last piece or set began.

    `engine_kind` is the name of its engine's kind.
    """

    cluster: ClusterPath
    tenant_id: int
    name: str
    engine_kind: str = SEEKDB

    def is_called(self, wanted: str) -> bool:
        """Whether `wanted` is the tenant's name, in upper or lower case, or its id."""
        return wanted.lower() in {self.name.lower(), str(self.tenant_id)}

    def __str__(self) -> str:
        """The tenant's name, id and cluster, for messages."""
        return f"{self.name} (id {self.tenant_id}) of {self.cluster.cluster}#{self.cluster.cluster_id}"


@dataclass(frozen=True)
class PieceHeld:
    """A piece in a destination: its store, its claim, and its log; `run` is None if it has no log, or was deleted."""

    key: PieceKey
    store: PieceStore
    info: PieceInfo
    run: LogRun | None


@dataclass(frozen=True)
class SetHeld:
    """A data backup in a destination: its store and its manifest; `manifest` is None if the backup is incomplete."""

    key: SetKey
    store: SetStore
    manifest: SetManifest | None


@dataclass(frozen=True)
class Inventory:
    """The pieces and data backups of one tenant, in order.

    `damage` describes unreadable pieces and sets, which are left out; `lost` are the keys of the unreadable pieces.
    """

    tenant: TenantPath
    pieces: tuple[PieceHeld, ...]
    sets: tuple[SetHeld, ...]
    damage: tuple[str, ...] = ()
    lost: tuple[PieceKey, ...] = ()

    @property
    def runs(self) -> list[LogRun]:
        """The log of all pieces."""
        return [piece.run for piece in self.pieces if piece.run is not None]


def clusters(destination: Destination) -> Iterator[ClusterPath]:
    """The clusters that have archived into the destination."""
    for name in filter(is_cluster_name, destination.folders("")):
        for folder in destination.folders(name):
            number = number_of(folder)
            if number is not None and f"incarnation_{INCARNATION}" in destination.folders(f"{name}/{folder}"):
                yield ClusterPath(name, number)


def tenants(destination: Destination, cluster: ClusterPath) -> Iterator[TenantPath]:
    """The tenants of a cluster that have log or data backups in the destination, by id."""
    for tenant_id in tenant_ids(destination, cluster):
        claim = _last_claim(destination, cluster, tenant_id)
        yield TenantPath(cluster, tenant_id, *((claim.tenant, claim.engine_kind) if claim else ("",)))


def tenant_ids(destination: Destination, cluster: ClusterPath) -> list[int]:
    """The ids of a cluster's tenants that have a folder in the destination, in order."""
    numbers = (number_of(folder) for folder in destination.folders(str(cluster)))
    return sorted(number for number in numbers if number is not None)


def last_set_id(destination: Destination, cluster: ClusterPath) -> int:
    """The highest number of a data backup in a cluster, 0 without one. Raises DestinationError."""
    ids = tenant_ids(destination, cluster)
    names = [name for each in ids for name in destination.folders(data_folder(cluster, each))]
    return max((key.set_id for name in names if (key := SetKey.parse(name)) is not None), default=0)


def take_inventory(destination: Destination, tenant: TenantPath) -> Inventory:
    """The current inventory of a tenant. Raises DestinationError."""
    lost: dict[PieceKey, str] = {}
    damage: list[str] = []
    pieces = list(pieces_of(destination, tenant, lost))
    sets = list(_sets(destination, tenant, damage))
    return Inventory(tenant, tuple(pieces), tuple(sets), (*lost.values(), *damage), tuple(lost))


def run_of(key: PieceKey, store: PieceStore, info: PieceInfo) -> LogRun | None:
    """The log of a piece, None if it has none or was deleted. Raises ArchiveError.

    The piece may be written, merged or deleted meanwhile. So damage counts only if two readings in a row show it.
    """
    return look_until_settled(lambda: _run_of(key, store, info), store.path.folder)


def _run_of(key: PieceKey, store: PieceStore, info: PieceInfo) -> LogRun | None:
    if store.is_deleted():
        return None
    manifest = store.manifest()
    return _open_run(key, store, info) if manifest is None else _frozen_run(key, manifest)


def _frozen_run(key: PieceKey, manifest: Manifest) -> LogRun | None:
    piece = manifest.piece
    if not manifest.segments:
        return None
    return LogRun(
        key=key,
        source=piece.source,
        start_lsn=piece.start_lsn,
        end_lsn=piece.end_lsn,
        start_scn=piece.start_scn,
        end_scn=piece.end_scn,
        cause=piece.broken_by or _STOPPED,
    )


def _open_run(key: PieceKey, store: PieceStore, info: PieceInfo) -> LogRun | None:
    ends = [store.resume(info) for _ in range(2)]  # a listing may miss a new merged object
    end = max(ends, key=lambda end: end.position.lsn)
    if not end.segments:
        return None
    broken = store.interruption()
    return LogRun(
        key=key,
        source=info.source,
        start_lsn=info.start_lsn,
        end_lsn=end.position.lsn,
        start_scn=info.start_scn,
        end_scn=end.position.scn,
        cause=broken.cause if broken else "",
    )


def pieces_of(destination: Destination, tenant: TenantPath, lost: dict[PieceKey, str]) -> Iterator[PieceHeld]:
    """The pieces in order, each with the cause of the end of its log, if the piece or the next one records it.

    Puts unreadable pieces into `lost`, with the reason. Raises DestinationError.
    """
    held: PieceHeld | None = None
    names = destination.folders(tenant.cluster.clog(tenant.tenant_id))
    for key in sorted(key for name in names if (key := PieceKey.parse(name)) is not None):
        store = PieceStore(destination, tenant.cluster.piece(tenant.tenant_id, key))
        after: PieceHeld | None = None
        try:
            info = store.record(PieceInfo, store.path.info)
            after = PieceHeld(key, store, info, run_of(key, store, info))
            cause = _cause_before(store)
        except ObjectMissingError:  # not claimed yet
            continue
        except ArchiveError as error:
            cause = lost[key] = str(error)
        if held is not None:
            yield _ending(held, key, cause)
        held = after
    if held is not None:
        yield held


def _ending(held: PieceHeld, after: PieceKey, cause: str) -> PieceHeld:
    """A piece with the cause of the end of its log, unless the piece itself records one."""
    if held.run is None or held.run.cause not in {"", _STOPPED}:
        return held
    stopped = held.run.cause if held.key.round != after.round else ""
    return replace(held, run=replace(held.run, cause=cause or stopped))


def _cause_before(store: PieceStore) -> str:
    """The cause that a piece records for missing log before it, or for its own deletion; empty without one."""
    if (hole := store.recorded(HoleInfo, store.path.hole)) is not None:
        return hole.cause
    deletion = store.recorded(Deletion, store.path.deletion)
    return "" if deletion is None else f"the following log was deleted: {deletion.statement}"


def _sets(destination: Destination, tenant: TenantPath, damage: list[str]) -> Iterator[SetHeld]:
    names = destination.folders(data_folder(tenant.cluster, tenant.tenant_id))
    for key in sorted(key for name in names if (key := SetKey.parse(name)) is not None):
        store = SetStore(destination, set_path(tenant.cluster, tenant.tenant_id, key))
        if exists(destination, store.path.deletion):
            continue
        try:
            yield SetHeld(key, store, store.manifest())
        except ArchiveError as error:
            damage.append(str(error))


def _last_claim(destination: Destination, cluster: ClusterPath, tenant_id: int) -> PieceInfo | SetIdentity | None:
    """The tenant's last readable claim of a piece, or else of a set; None without one."""
    keys = [key for name in destination.folders(cluster.clog(tenant_id)) if (key := PieceKey.parse(name))]
    for key in sorted(keys, reverse=True):
        store = PieceStore(destination, PiecePath(f"{cluster.clog(tenant_id)}/{key}"))
        try:
            return store.record(PieceInfo, store.path.info)
        except (ArchiveError, ObjectMissingError):
            continue
    return _last_set_claim(destination, cluster, tenant_id)


def _last_set_claim(destination: Destination, cluster: ClusterPath, tenant_id: int) -> SetIdentity | None:
    keys = [key for name in destination.folders(data_folder(cluster, tenant_id)) if (key := SetKey.parse(name))]
    for key in sorted(keys, reverse=True):
        try:
            return SetStore(destination, SetPath(f"{data_folder(cluster, tenant_id)}/{key}")).info().of
        except (ArchiveError, ObjectMissingError):
            continue
    return None
