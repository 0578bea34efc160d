"""Which backups a second backup copies, and under which COPY_ID (OceanBase 3.x). Pure.

Invariants, which every function here keeps:

- Only complete, available backups are copied, and never onto themselves.
- A backup has at most one copy in a destination. A copy that was left incomplete is continued under its COPY_ID.
- A COPY_ID names one copy of a backup for ever, also after its deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from redoubt.model.retention import Backup, BackupPiece, FileStatus, NotDeletableError, Refusal

_ID_OF_PARAMETER = 1
"""The first COPY_ID of copies in the configured backup_backup_dest."""
_ID_OF_STATEMENT = 10_001
"""The first COPY_ID of copies in a destination that a statement named."""


class NotCopyableError(Exception):
    """A backup cannot be copied. The text says why, and what to do."""


@dataclass(frozen=True)
class Selection:
    """The backups that a statement names: the one of that number, or all. See `SecondBackup` for `max_copies`."""

    number: int | None = None
    max_copies: int | None = None


def to_copy(
    selection: Selection,
    originals: Iterable[Backup],
    copies: Iterable[Backup],
    is_same: Callable[[str], bool],
    destination: str,
    *,
    is_configured: bool,
) -> list[Backup]:
    """The copies to make, in the order of the originals, as they are while they are made. Raises NotCopyableError.

    `is_same(destination)` tells whether that is the destination of the copies. `is_configured`: it is the parameter's.
    """
    made = list(copies)
    if selection.number is None:
        able = [each for each in originals if not _hindrance(each, made, is_same)]
        chosen = [each for each in able if _is_wanted(each, made, selection.max_copies)]
    else:
        chosen = [each for each in originals if _number(each) == selection.number]
        if not chosen:
            raise NotCopyableError(f"there is no backup with the number {selection.number}")
        for each in chosen:
            if hindrance := _hindrance(each, made, is_same):
                raise NotCopyableError(hindrance)
    first = _ID_OF_PARAMETER if is_configured else _ID_OF_STATEMENT
    return [_copy(each, made, is_same, destination, first) for each in chosen]


def copies_to_delete(number: int, copy_id: int, copies: Iterable[Backup]) -> list[Backup]:
    """The copy with that COPY_ID of the backup with that number. Raises NotDeletableError."""
    found = [each for each in copies if each.copy_id == copy_id and _number(each) == number and number > 0]
    return _deletable(found)


def copies_of_round_to_delete(number: int, copy_id: int, copies: Iterable[BackupPiece]) -> list[Backup]:
    """The copies with that COPY_ID of all pieces of a round. Raises NotDeletableError."""
    found = [each for each in copies if each.copy_id == copy_id and each.key.round == number]
    left = [each for each in found if each.file_status is not FileStatus.DELETED]
    return _deletable(list(left or found))


def _deletable(found: list[Backup]) -> list[Backup]:
    if not found:
        raise NotDeletableError(Refusal.MISSING)
    for each in found:
        if each.file_status is FileStatus.COPYING:
            raise NotDeletableError(Refusal.NOT_FROZEN, status=str(each.file_status))
        if each.file_status is FileStatus.DELETED:
            raise NotDeletableError(Refusal.DELETED, status=str(each.file_status))
    return found


def _hindrance(original: Backup, copies: list[Backup], is_same: Callable[[str], bool]) -> str:
    """Why a backup cannot be copied there; empty if it can."""
    name = f"{original.noun} {_number(original)}"
    if not original.is_complete:
        return f"{name} is not complete: its STATUS is {original.status}"
    if original.file_status is not FileStatus.AVAILABLE:
        return f"{name} is not available: its FILE_STATUS is {original.file_status}"
    if is_same(original.destination):
        return f"{name} is in that destination itself; name another one"
    there = _copy_there(original, copies, is_same)
    if there is None or there.file_status is FileStatus.INCOMPLETE:
        return ""
    if there.file_status is FileStatus.AVAILABLE:
        return f"{name} is there already, as COPY_ID {there.copy_id}"
    return f"{name} was there as COPY_ID {there.copy_id}, and is {there.file_status}; name another destination"


def _is_wanted(original: Backup, copies: list[Backup], max_copies: int | None) -> bool:
    if max_copies is None:
        return True
    good = [each for each in copies if each.key == original.key and each.file_status is FileStatus.AVAILABLE]
    return len(good) < max_copies


def _copy(
    original: Backup, copies: list[Backup], is_same: Callable[[str], bool], destination: str, first: int
) -> Backup:
    """The copy of a backup, before it is made: a new one, or one that was left incomplete."""
    there = _copy_there(original, copies, is_same)
    if there is None:
        ids = (each.copy_id for each in copies if each.key == original.key)
        copy_id = max((each for each in ids if first <= each < first + 9_999), default=first - 1) + 1
    else:
        copy_id = there.copy_id
    return replace(original, copy_id=copy_id, destination=destination, file_status=FileStatus.COPYING)


def _copy_there(original: Backup, copies: list[Backup], is_same: Callable[[str], bool]) -> Backup | None:
    return next((each for each in copies if each.key == original.key and is_same(each.destination)), None)


def _number(backup: Backup) -> int:
    return backup.key.piece if isinstance(backup, BackupPiece) else backup.set_id
