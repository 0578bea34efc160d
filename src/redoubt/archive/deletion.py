"""Deletes a piece's log or a data backup, and records in the destination that the data was deleted, not lost.

The record of the deletion is stored before the first object is deleted. Then the segments are deleted, the oldest
first. So a half-deleted piece does not begin where its claim says: a reader that does not know the record sees a
damaged piece, and does not continue it. The claim, the manifest and the records of interruption and hole remain,
because the holes before later rounds are measured with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redoubt.archive.layout import ClusterInfo, PiecePath
from redoubt.archive.owner import check_owner
from redoubt.archive.record import INFO_FORMAT, Prose, dump_record
from redoubt.archive.set_layout import SetPath
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError

_MOST_FAILURES = 3
"""The most objects in a row that are tried in vain."""


@dataclass(frozen=True)
class Deletion:
    """`deletion`: the log of this piece was deleted on purpose; the deletion began at `began_at` (ns since the epoch).

    `statement` requested the deletion, `host` is the machine that deleted, `job` the number of the deletion job.
    """

    tenant_id: int
    round: int
    piece: int
    job: int
    statement: Prose
    host: str
    began_at: int
    format: int = INFO_FORMAT


@dataclass(frozen=True)
class SetDeletion:
    """`deletion` of a data backup, as `Deletion`; `job` is 0 if the files of a failed backup were removed."""

    tenant_id: int
    set_id: int
    job: int
    statement: Prose
    host: str
    began_at: int
    format: int = INFO_FORMAT


def delete_some(
    destination: Destination,
    ours: ClusterInfo,
    folder: PiecePath | SetPath,
    record: Deletion | SetDeletion,
    is_enough: Callable[[], bool],
) -> bool:
    """Delete until `is_enough()` returns True. Returns whether nothing was left; call again until it does.

    An object that cannot be deleted holds up no other: the error that names it comes last. Raises DestinationError, and
    LockedError while another process writes into the folder. Deletes nothing unless the destination's
    `cluster_clog_backup_info` is `ours`, because an unmounted disk must not count as empty.
    """
    check_owner(destination, ours)
    names = [info.name for info in destination.list(folder.folder)]
    if not names:
        return True
    lock = destination.lock(folder.lock, f"a deletion on {record.host}")
    try:
        _put(destination, folder, record)
        failures = _delete(destination, left := _doomed(folder, names), is_enough)
    finally:
        lock.release()
    if failures:
        more = f" (and {len(failures) - 1} other objects of this folder)" if len(failures) > 1 else ""
        raise DestinationError(f"{failures[0]}{more}") from failures[0]
    return not left


def _delete(destination: Destination, names: list[str], is_enough: Callable[[], bool]) -> list[DestinationError]:
    """Delete the objects, and return the failures; ends after several in a row, because then it is the destination."""
    failures, in_a_row = list[DestinationError](), 0
    for name in names:
        if is_enough() or in_a_row == _MOST_FAILURES:
            break
        try:
            destination.delete(name)
            in_a_row = 0
        except DestinationError as error:
            failures.append(error)
            in_a_row += 1
    return failures


def _doomed(folder: PiecePath | SetPath, names: list[str]) -> list[str]:
    """The objects to delete, in this order."""
    if isinstance(folder, SetPath):
        names = sorted(names, key=lambda name: (name != folder.manifest, name))
        kept = {folder.info, folder.deletion}
    else:
        kept = {folder.info, folder.manifest, folder.interruption, folder.hole, folder.deletion}
    return [name for name in names if name not in kept]


def _put(destination: Destination, folder: PiecePath | SetPath, record: Deletion | SetDeletion) -> None:
    try:
        destination.put_if_absent(folder.deletion, dump_record(record, indent=2))
    except ObjectExistsError:
        return  # an earlier call has stored the record
