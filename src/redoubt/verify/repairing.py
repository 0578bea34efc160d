"""Mends what a verification found damaged, with the objects of a copy; see `archive.copying`.

Only complete pieces and data backups can be mended, because only they are copied. A folder that is lost as a whole is
copied back if a later piece of its round shows that it was there. What a copy does not have stays damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.bounded import read_record
from redoubt.archive.copying import CopyError, FolderCopy, check_apart
from redoubt.archive.layout import ClusterInfo, ClusterPath, PiecePath
from redoubt.archive.owner import has_piece_of
from redoubt.archive.record import RecordError, dump_record
from redoubt.archive.set_layout import SetPath, folder_of
from redoubt.archive.store import exists
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError, ObjectMissingError
from redoubt.verify.findings import Report


@dataclass(frozen=True)
class Repaired:
    """A folder or object, and how many objects of it were stored again; `problem` says why it could not be mended."""

    name: str
    stored: int = 0
    problem: str = ""


def repair(destination: Destination, copy: Destination, report: Report, holder: str) -> Iterator[Repaired]:
    """Mend what `report` says is damaged in `destination`; one folder's failure stops no other.

    `holder` names this process to those who find a folder locked. Raises CopyError if the two are one place, and
    DestinationError if nothing can be listed.
    """
    check_apart(copy, destination)
    names = [each.name for each in report.damage]
    unlike = dict[str, str]()
    for cluster in sorted({path for name in names if (path := _cluster_of(name))}, key=str):
        unlike[str(cluster)] = problem = _compared(destination, copy, cluster)
        if problem or cluster.info in names:
            yield Repaired(cluster.info, 0, problem) if problem else _mend_info(destination, copy, cluster)
    for folder in _folders(destination, copy, names):
        if not unlike.get("/".join(folder.folder.split("/")[:3])):
            yield _mend(destination, copy, folder, holder)


def _mend(destination: Destination, copy: Destination, folder: PiecePath | SetPath, holder: str) -> Repaired:
    try:
        done = FolderCopy(copy, destination, folder, mends=True).run(holder)
    except (CopyError, DestinationError) as error:
        return Repaired(folder.folder, 0, str(error))
    return Repaired(folder.folder, done.stored, "; ".join(done.problems))


def _folders(destination: Destination, copy: Destination, names: list[str]) -> list[PiecePath | SetPath]:
    """The damaged folders, and the lost ones before damaged pieces, in order."""
    found = {folder.folder: folder for name in names if (folder := folder_of(name))}
    for folder in list(found.values()):
        if isinstance(folder, PiecePath):
            found |= {each.folder: each for each in _lost_before(destination, copy, folder)}
    return [found[name] for name in sorted(found)]


def _lost_before(destination: Destination, copy: Destination, folder: PiecePath) -> Iterator[PiecePath]:
    """The earlier pieces of a piece's round that the copy has, and of which the destination has nothing at all."""
    parent, _, base = folder.folder.rpartition("/")
    key = PieceKey.parse(base)
    for name in copy.folders(parent):
        other, path = PieceKey.parse(name), PiecePath(f"{parent}/{name}")
        if key and other and other.round == key.round and other < key:
            is_lost = not any(True for _ in destination.list(path.folder))
            if is_lost and not exists(copy, path.deletion):
                yield path


def _cluster_of(name: str) -> ClusterPath | None:
    """The cluster to which a damaged object belongs."""
    folder = folder_of(f"{name.rpartition('/')[0]}/1/clog/1") if name.endswith("/cluster_clog_backup_info") else None
    parts = (folder or folder_of(name) or PiecePath("")).folder.split("/")
    return ClusterPath(parts[0], int(parts[1])) if len(parts) > 1 else None


def _compared(destination: Destination, copy: Destination, cluster: ClusterPath) -> str:
    """Why `copy` is no copy of this cluster's archive; empty if nothing contradicts it."""
    ours, theirs = _info(destination, cluster), _info(copy, cluster)
    if theirs is None:
        return "the copy has no intact object of this name, so nothing shows whose copy it is"
    if ours is None and not has_piece_of(destination, theirs):
        return "no intact claim of a piece shows that the copy is of this cluster"
    if ours not in {None, theirs}:
        return "the copy is of another cluster with the same name and id"
    return ""


def _info(destination: Destination, cluster: ClusterPath) -> ClusterInfo | None:
    """The cluster's info object, None if it is missing or damaged, or names another cluster."""
    try:
        info = read_record(ClusterInfo, destination, cluster.info)
    except (ObjectMissingError, RecordError):
        return None
    return info if (info.cluster, info.cluster_id) == (cluster.cluster, cluster.cluster_id) else None


def _mend_info(destination: Destination, copy: Destination, cluster: ClusterPath) -> Repaired:
    info = _info(copy, cluster)
    assert info is not None
    try:
        destination.delete(cluster.info)
        destination.put_if_absent(cluster.info, dump_record(info, indent=2))
    except DestinationError as error:
        return Repaired(cluster.info, 0, str(error))
    return Repaired(cluster.info, 1)
