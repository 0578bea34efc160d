"""Deleting a piece's log from a destination, so that whoever reads there sees that it was deleted and not lost.

The record of the deletion is stored before anything goes. Then the segments go, the oldest first: what is left does not
begin where the claim says, so that a half-deleted piece is taken for damaged also by who does not know the record, and
nobody goes on from it. Claim, manifest and what is on record of interruptions and holes stay, beside the record: the
rounds after it are measured by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redoubt.archive.layout import ClusterInfo, ClusterPath, PiecePath
from redoubt.archive.record import INFO_FORMAT, RecordError, dump_record, load_record
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError


@dataclass(frozen=True)
class Deletion:
    """`deletion`: the log of this piece was deleted on purpose, from `began_at` (ns since the epoch) on.

    `statement` is what asked for it, `host` the machine that did it, `job` its number in the cluster's history.
    """

    tenant_id: int
    round: int
    piece: int
    job: int
    statement: str
    host: str
    began_at: int
    format: int = INFO_FORMAT


def delete_some(
    destination: Destination, ours: ClusterInfo, folder: PiecePath, record: Deletion, is_enough: Callable[[], bool]
) -> bool:
    """Delete until `is_enough()` says so; True when there was nothing left to delete: to be called until then.

    Raises DestinationError, LockedError among them while somebody writes into the folder. A destination that does not
    say that it is `ours` is left alone: a disk that is not mounted must not pass for an empty one.
    """
    _check_owner(destination, ours)
    names = [info.name for info in destination.list(folder.folder)]
    if not names:
        return True
    kept = {folder.info, folder.manifest, folder.interruption, folder.hole, folder.deletion}
    lock = destination.lock(folder.lock, f"a deletion on {record.host}")
    try:
        _put(destination, folder, record)
        for name in (left := [name for name in names if name not in kept]):
            if is_enough():
                break
            destination.delete(name)
    finally:
        lock.release()
    return not left


def _check_owner(destination: Destination, ours: ClusterInfo) -> None:
    name = ClusterPath(ours.cluster, ours.cluster_id).info
    try:
        theirs = load_record(ClusterInfo, destination.get(name))
    except RecordError as error:
        raise DestinationError(f"{name} is damaged ({error}); nothing is deleted there") from error
    if theirs != ours:
        raise DestinationError(f"{name} is another cluster's; nothing is deleted there")


def _put(destination: Destination, folder: PiecePath, record: Deletion) -> None:
    try:
        destination.put_if_absent(folder.deletion, dump_record(record, indent=2))
    except ObjectExistsError:
        return  # it was begun before
