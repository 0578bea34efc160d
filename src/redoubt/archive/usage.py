"""How much each tenant has in a destination, and how fast it grows: read from names, sizes and a few headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.inventory import TenantPath, clusters, tenants
from redoubt.archive.layout import PieceInfo
from redoubt.archive.segment import SegmentName
from redoubt.archive.set_layout import data_folder, set_path
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.bases import SetKey
from redoubt.model.estimate import Use
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, ObjectMissingError

_NS = 10**9
_RECENT = 30 * 86400 * _NS
_TAIL = 64
"""The number of objects at the end of the log from which the present rate is taken."""


@dataclass(frozen=True)
class Usage:
    """A tenant's use of a destination; `problem` says what could not be read, empty if nothing."""

    tenant: TenantPath
    use: Use
    problem: str = ""


def usage(destination: Destination, now: int) -> Iterator[Usage]:
    """The use of each tenant; `now` in ns since the epoch. Raises DestinationError."""
    for cluster in clusters(destination):
        for tenant in tenants(destination, cluster):
            yield _of(destination, tenant, now)


def _of(destination: Destination, tenant: TenantPath, now: int) -> Usage:
    clog, data = tenant.cluster.clog(tenant.tenant_id), data_folder(tenant.cluster, tenant.tenant_id)
    pieces = sorted(key for name in destination.folders(clog) if (key := PieceKey.parse(name)))
    sets = sorted(found for name in destination.folders(data) if (found := SetKey.parse(name)))
    folders = [*(f"{clog}/{key}" for key in pieces), *(f"{data}/{each}" for each in sets)]
    sizes = [each.size for folder in folders for each in destination.list(folder)]
    segments = log_bytes = 0.0
    problems = list[str]()
    try:
        segments, log_bytes = _rates(destination, tenant, pieces[-1]) if pieces else (0.0, 0.0)
    except (ArchiveError, ObjectMissingError) as error:
        problems.append(str(error))
    recent, parts, size = 0, 0, 0
    for set_key in sets:
        try:
            manifest = SetStore(destination, set_path(tenant.cluster, tenant.tenant_id, set_key)).manifest()
        except ArchiveError as error:
            problems.append(str(error))
            continue
        if manifest is not None and manifest.summary.completed_at > now - _RECENT:
            recent, parts, size = recent + 1, parts + len(manifest.parts), size + manifest.summary.output_bytes
    use = Use(len(sizes), sum(sizes), segments, log_bytes, recent, size, parts)
    return Usage(tenant, use, "; ".join(problems))


def _rates(destination: Destination, tenant: TenantPath, key: PieceKey) -> tuple[float, float]:
    """Segments and bytes a second that are stored of the newest piece; 0 if the piece is complete.

    Raises ArchiveError, ObjectMissingError.
    """
    store = PieceStore(destination, tenant.cluster.piece(tenant.tenant_id, key))
    if store.is_deleted() or store.manifest() is not None:
        return 0.0, 0.0
    listing = store.listing()
    objects = listing.objects
    if len(objects) < 2:  # noqa: PLR2004 - one segment shows no rate
        return 0.0, 0.0
    info = store.record(PieceInfo, store.path.info)
    end = store.resume(info, listing).position.scn
    recent = objects[-_TAIL:]
    unmerged = [each.name for each in recent if not each.name.is_merged] or [recent[-1].name]

    def seconds(first: SegmentName) -> float:
        """The time from a segment's start to the end; log from before the round may be days old."""
        return max((end - max(store.header(first).min_scn, info.start_scn)) / _NS, 1.0)

    return len(unmerged) / seconds(unmerged[0]), sum(each.size for each in recent) / seconds(recent[0].name)
