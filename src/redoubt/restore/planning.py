"""Plans a restore: the tenant, the base, the log, and the exact last group. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.encryption import SUFFIX
from redoubt.archive.inventory import Inventory, TenantPath, clusters, take_inventory, tenants
from redoubt.archive.listing import Listed
from redoubt.archive.segment import SegmentName
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore, look_until_settled
from redoubt.errors import RedoubtError
from redoubt.model.bases import Base, LogCutter
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import NotRecoverableError, Stretch, Way, way_to
from redoubt.model.seams import Destination

NEWEST = 2**63 - 1
"""An SCN greater than every other."""
_LOOK_BACK = 64 * 1024 * 1024
"""Bytes of log before the end that are searched for a group that decides a transaction."""


class UnknownTenantError(RedoubtError):
    """No tenant, or several, match; the text names the candidates."""


@dataclass(frozen=True)
class LogPart:
    """The log to lay from one piece: LSNs from `start_lsn` to `end_lsn`; the number and stored size of its objects."""

    key: PieceKey
    store: PieceStore
    start_lsn: int
    end_lsn: int
    segments: int
    stored_bytes: int


@dataclass(frozen=True)
class Plan:
    """A restore of `tenant` to `end`, with the base in `base_store` and the log in `parts`, in order.

    `damage` names unreadable backup data that the plan ignores.
    """

    tenant: TenantPath
    base_store: SetStore
    base: SetManifest
    parts: tuple[LogPart, ...]
    end: LogPosition
    damage: tuple[str, ...] = ()

    def is_encrypted(self) -> bool:
        """Whether any object that the restore reads is encrypted. Raises ArchiveError, DestinationError."""
        return bool(self.base.summary.data_key) or any(
            name.suffix.endswith(SUFFIX) for part in self.parts for name, _ in part.store.segments()
        )

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
    destination: Destination, wanted: str | None, cluster: str | None = None, cluster_id: int | None = None
) -> TenantPath:
    """The tenant of that name (in any case) or id, in the named cluster if several have archived here.

    With None, it is the only tenant there. An id belongs to one tenant for ever. A name may have been reused after its
    tenant was dropped; then the name alone does not tell the tenants apart. Raises UnknownTenantError.
    """
    there = [
        tenant
        for path in clusters(destination)
        if cluster in {None, path.cluster} and cluster_id in {None, path.cluster_id}
        for tenant in tenants(destination, path)
    ]
    names = ", ".join(str(each) for each in there) or "none"
    if wanted is None:
        if len(there) != 1:
            raise UnknownTenantError(f"name the tenant; tenants with a backup: {names}")
        return there[0]
    by_id = [each for each in there if wanted == str(each.tenant_id)]
    found = by_id or [each for each in there if wanted.lower() == each.name.lower()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownTenantError(f"no backup of tenant {wanted!r} found; tenants with a backup: {names}")
    several = len({each.cluster for each in found}) > 1
    raise UnknownTenantError(
        f"{wanted!r} matches several tenants: {', '.join(str(each) for each in found)}; "
        f"name the tenant by {'cluster and ' if several else ''}id"
    )


def make_plan(
    destination: Destination,
    tenant: TenantPath,
    scn: int | None,
    cutter: LogCutter,
    set_id: int | None = None,
    *,
    is_settled: bool = True,
) -> Plan:
    """The plan to restore to `scn`, or to the newest moment if `scn` is None; from the set `set_id` if given.

    With `is_settled`, the plan leaves out redo of undecided transactions at the end of the log: an engine would never
    end these transactions, and would keep their rows locked. Otherwise the plan ends exactly at `scn`, so that more log
    can be laid behind the end.

    Looks again if the archive changes meanwhile. Raises NotRecoverableError, ArchiveError for damage, DestinationError.
    """
    return look_until_settled(
        lambda: _plan(take_inventory(destination, tenant), scn, cutter, set_id, is_settled=is_settled), "the archive"
    )


def _plan(inventory: Inventory, scn: int | None, cutter: LogCutter, set_id: int | None, *, is_settled: bool) -> Plan:
    sets = [each for each in inventory.sets if set_id in {None, each.key.set_id}]
    bases = {each.manifest.summary.base: (each.store, each.manifest) for each in sets if each.manifest is not None}
    way = _way(inventory, scn, list(bases))
    stores = {piece.key: piece.store for piece in inventory.pieces}
    end = _end_of(way, stores, NEWEST if scn is None else scn, cutter)
    if is_settled:
        end = _settled(way, stores, end, cutter)
    parts = tuple(
        _part(stores[each.run.key], each, end.lsn, is_last=each is way.stretches[-1])
        for each in way.stretches
        if each.start_lsn < end.lsn
    )
    store, manifest = bases[way.base]
    if not parts or end.lsn < way.base.snapshot_lsn:
        raise ArchiveError(
            f"{store.path.folder}: the data backup was taken at LSN {way.base.snapshot_lsn}, but the log "
            f"ends at LSN {end.lsn} at that time: backup and log are from different engines"
        )
    return Plan(inventory.tenant, store, manifest, parts, end, inventory.damage)


def _way(inventory: Inventory, scn: int | None, bases: list[Base]) -> Way:
    """The way through the archive. Raises NotRecoverableError, also if unreadable pieces may hold newer log."""
    unread = f" (unreadable: {'; '.join(inventory.damage)})" if inventory.damage else ""
    try:
        way = way_to(scn, bases, inventory.runs)
    except NotRecoverableError as error:
        raise NotRecoverableError(f"{error}{unread}", error.before, error.after) from error
    if scn is None and any(key > way.stretches[-1].run.key for key in inventory.lost):
        raise NotRecoverableError(f"the newest restorable moment is unknown{unread}", before=way.end_scn)
    return way


def _end_of(way: Way, stores: dict[PieceKey, PieceStore], scn: int, cutter: LogCutter) -> LogPosition:
    """The place behind the last group whose SCN is at most `scn`."""
    last = way.stretches[-1]
    if (end := _cut(stores[last.run.key], last, scn, cutter)) is not None:
        return end
    before = way.stretches[-2] if len(way.stretches) > 1 else None
    end = _cut(stores[before.run.key], before, scn, cutter) if before is not None else None
    if end is None:
        raise ArchiveError(
            f"{stores[last.run.key].path.folder}: its log begins after SCN {scn}, but its claim says otherwise"
        )
    return end


def _settled(way: Way, stores: dict[PieceKey, PieceStore], end: LogPosition, cutter: LogCutter) -> LogPosition:
    """The place before the redo of undecided transactions at the end of the log.

    Returns `end` if there is no such redo, or if its start is out of reach. Log that the base's files may already
    contain stays.
    """
    first = _first_open(way, stores, end, cutter)
    if first is None:
        return end
    places = (_cut(stores[each.run.key], each, first - 1, cutter) for each in reversed(way.stretches))
    place = next((each for each in places if each is not None), end)
    is_in_reach = place.lsn > way.base.start_lsn and place.scn >= way.base.snapshot_scn
    return place if is_in_reach else end


def _first_open(way: Way, stores: dict[PieceKey, PieceStore], end: LogPosition, cutter: LogCutter) -> int | None:
    """The SCN of the first group with redo after the last group that decides a transaction; None without one."""
    bound, first = end.lsn - _LOOK_BACK, None
    low, is_all = max(way.base.snapshot_lsn, bound), True
    for stretch, name in _backwards(way, stores, end):
        _, start, log = _cut_in(stores[stretch.run.key], name, end.scn, cutter)
        tail = cutter.open_tail(log, max(low, stretch.start_lsn) - start)
        first, is_all = tail.scn or first, tail.is_all
        if not is_all or max(start, stretch.start_lsn) <= low:
            break
    return None if is_all and low == bound else first


def _backwards(way: Way, stores: dict[PieceKey, PieceStore], end: LogPosition) -> Iterator[tuple[Stretch, SegmentName]]:
    """The segments of a way before `end`, last one first, each with its stretch."""
    for stretch in reversed(way.stretches):
        if stretch.start_lsn < end.lsn:
            objects = _objects(stores[stretch.run.key], stretch.start_lsn, min(stretch.end_lsn, end.lsn))
            yield from ((stretch, each.name) for each in reversed(objects))


def _cut(store: PieceStore, stretch: Stretch, scn: int, cutter: LogCutter) -> LogPosition | None:
    """The place in a stretch at which a restore to `scn` ends; None if the whole stretch is after `scn`."""
    name = _holding(store, _objects(store, stretch.start_lsn, stretch.end_lsn), scn)
    if name is None:
        return None
    return _cut_in(store, name, scn, cutter)[0]


def _cut_in(store: PieceStore, name: SegmentName, scn: int, cutter: LogCutter) -> tuple[LogPosition, int, bytes]:
    """The place behind a segment's last group whose SCN is at most `scn`; its start LSN; the log before the place."""
    header, log = store.read(name)
    start = LogPosition(header.start_lsn, header.min_scn - 1, header.chain_before)
    try:
        place = cutter.cut(log, start, scn)
    except LogDamagedError as error:
        raise ArchiveError(f"{store.path.segment(name)} is damaged: {error}") from error
    return place, start.lsn, log[: place.lsn - start.lsn]


def _holding(store: PieceStore, objects: list[Listed], scn: int) -> SegmentName | None:
    """The last object whose first group is not after `scn`, None without one."""
    low, high = 0, len(objects)
    while low < high:
        middle = (low + high) // 2
        if store.header(objects[middle].name).min_scn <= scn:
            low = middle + 1
        else:
            high = middle
    return objects[low - 1].name if low else None


def _part(store: PieceStore, stretch: Stretch, end_lsn: int, *, is_last: bool) -> LogPart:
    end = end_lsn if is_last else min(stretch.end_lsn, end_lsn)
    objects = _objects(store, stretch.start_lsn, end)
    size = sum(each.size for each in objects)
    return LogPart(stretch.run.key, store, stretch.start_lsn, end, len(objects), size)


def _objects(store: PieceStore, start: int, end: int) -> list[Listed]:
    """The objects that hold the log from `start` to `end`, in order. Raises ArchiveError if log is missing."""
    listed = store.listing().objects
    objects = [each for each in listed if each.name.start_lsn < end and each.name.end_lsn > start]
    if not objects or objects[0].name.start_lsn > start or objects[-1].name.end_lsn < end:
        there = f"LSN {objects[0].name.start_lsn} to {objects[-1].name.end_lsn}" if objects else "none"
        raise ArchiveError(
            f"{store.path.folder}: log from LSN {start} to {end} is needed, but the folder holds {there}"
        )
    return objects
