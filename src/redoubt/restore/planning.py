"""Plans a restore: which tenant, which base, which log, and the exact group at which it ends. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.archive.inventory import Inventory, TenantPath, clusters, take_inventory, tenants
from redoubt.archive.listing import Listed
from redoubt.archive.segment import SegmentName
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.bases import LogCutter
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import Stretch, way_to
from redoubt.model.seams import Destination, ObjectMissingError

NEWEST = 2**63 - 1
"""An SCN behind every other."""
_LOOKS = 10


class UnknownTenantError(Exception):
    """The tenant cannot be told; the text names those that there are."""


@dataclass(frozen=True)
class LogPart:
    """The log to lay from one piece: LSNs from `start_lsn` to `end_lsn`, out of so many objects of so many bytes."""

    key: PieceKey
    store: PieceStore
    start_lsn: int
    end_lsn: int
    segments: int
    stored_bytes: int


@dataclass(frozen=True)
class Plan:
    """A restore of `tenant` to `end`, with the base in `base_store` and the log in `parts`, in order."""

    tenant: TenantPath
    base_store: SetStore
    base: SetManifest
    parts: tuple[LogPart, ...]
    end: LogPosition

    @property
    def log_bytes(self) -> int:
        """Bytes of log to lay."""
        return self.end.lsn - self.parts[0].start_lsn

    @property
    def base_bytes(self) -> int:
        """Bytes of files to write."""
        return self.base.summary.input_bytes

    @property
    def stored_bytes(self) -> int:
        """Bytes of objects to read."""
        return self.base.summary.output_bytes + sum(part.stored_bytes for part in self.parts)


def find_tenant(
    destination: Destination, wanted: str, cluster: str | None = None, cluster_id: int | None = None
) -> TenantPath:
    """The tenant of that name or id, in the named cluster if several have archived here. Raises UnknownTenantError."""
    there = [
        tenant
        for path in clusters(destination)
        if cluster in {None, path.cluster} and cluster_id in {None, path.cluster_id}
        for tenant in tenants(destination, path)
    ]
    found = [each for each in there if wanted.lower() == each.name or wanted == str(each.tenant_id)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(each) for each in there) or "none"
    if not found:
        raise UnknownTenantError(f"no tenant {wanted!r} has a backup there; there are: {names}")
    raise UnknownTenantError(f"{wanted!r} may be any of: {', '.join(str(each) for each in found)}; name it by its id")


def make_plan(destination: Destination, tenant: TenantPath, scn: int | None, cutter: LogCutter) -> Plan:
    """The plan to come to `scn`, to the newest moment if it is None.

    Raises NotRecoverableError, ArchiveError for what is damaged, DestinationError.
    """
    inventory = take_inventory(destination, tenant)
    bases = {each.manifest.summary.base: each for each in inventory.sets if each.manifest is not None}
    way = way_to(scn, list(bases), inventory.runs)
    wanted = NEWEST if scn is None else scn
    held = bases[way.base]
    assert held.manifest is not None
    stretches = _until(way.stretches, wanted)
    end = _cut(_store(inventory, stretches[-1]), stretches[-1], wanted, cutter)
    parts = tuple(_part(_store(inventory, each), each, end.lsn) for each in stretches)
    return Plan(tenant, held.store, held.manifest, parts, end)


def _until(stretches: tuple[Stretch, ...], scn: int) -> list[Stretch]:
    """The stretches up to the one that holds the moment."""
    taken = []
    for each in stretches:
        taken.append(each)
        if each.run.end_scn >= scn:
            break
    return taken


def _store(inventory: Inventory, stretch: Stretch) -> PieceStore:
    return next(piece.store for piece in inventory.pieces if piece.key == stretch.run.key)


def _part(store: PieceStore, stretch: Stretch, end_lsn: int) -> LogPart:
    end = min(stretch.end_lsn, end_lsn)
    objects = [each for each in store.listing().objects if _overlaps(each.name, stretch.start_lsn, end)]
    size = sum(each.size for each in objects)
    return LogPart(stretch.run.key, store, stretch.start_lsn, end, len(objects), size)


def _overlaps(name: SegmentName, start: int, end: int) -> bool:
    return name.start_lsn < end and name.end_lsn > start


def _cut(store: PieceStore, stretch: Stretch, scn: int, cutter: LogCutter) -> LogPosition:
    """The place at which a restore to `scn` ends. What is merged meanwhile is looked for again."""
    for _ in range(_LOOKS):
        try:
            return _cut_in(store, stretch, scn, cutter)
        except ObjectMissingError:
            continue
    raise ArchiveError(f"{store.path.folder}: its objects go away while they are read")


def _cut_in(store: PieceStore, stretch: Stretch, scn: int, cutter: LogCutter) -> LogPosition:
    objects = [each for each in store.listing().objects if _overlaps(each.name, stretch.start_lsn, stretch.end_lsn)]
    header, log = store.read(_holding(store, objects, scn))
    start = LogPosition(header.start_lsn, header.min_scn - 1, header.chain_before)
    try:
        return cutter.cut(log, start, scn)
    except LogDamagedError as error:
        raise ArchiveError(f"{store.path.folder}: {error}") from error


def _holding(store: PieceStore, objects: list[Listed], scn: int) -> SegmentName:
    """The last object whose first group is not after `scn`."""
    low, high = 0, len(objects) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if store.header(objects[middle].name).min_scn <= scn:
            low = middle
        else:
            high = middle - 1
    return objects[low].name
