"""Which backups a second backup copies, and under which COPY_ID (OceanBase 3.x). Pure.

Invariants, which every function here keeps:

- Only complete, available backups are copied, and never onto themselves.
- A backup has at most one copy in a destination. A copy that was left incomplete is continued under its COPY_ID.
- A COPY_ID names one destination for ever. So all copies in a destination have the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from redoubt.model.retention import Backup, BackupPiece, FileStatus, NotDeletableError, Refusal

_ID_OF_PARAMETER = 1
"""The first COPY_ID of copies in the configured backup_backup_dest."""
_ID_OF_STATEMENT = 10_001
"""The first COPY_ID of copies in a destination that a statement named."""
_IDS = 9_999
"""The number of COPY_IDs of each kind."""


class NotCopyableError(Exception):
    """A backup cannot be copied. The text says why, and what to do."""


@dataclass(frozen=True)
class Selection:
    """The backups that a statement names: the one of that number, or all. See `SecondBackup` for `max_copies`."""

    number: int | None = None
    max_copies: int | None = None


class Copies:
    """The copies that there are, of pieces and data backups; `same` are the texts that name the destination.

    `is_configured`: the destination is the parameter's.
    """

    def __init__(
        self, copies: Iterable[Backup], same: Collection[str], destination: str, *, is_configured: bool
    ) -> None:
        self._destination = destination
        self._same = same
        self._by_key: dict[object, list[Backup]] = {}
        first = _ID_OF_PARAMETER if is_configured else _ID_OF_STATEMENT
        here, used = list[int](), {first - 1}
        for each in copies:
            self._by_key.setdefault(each.key, []).append(each)
            if each.destination in same:
                here.append(each.copy_id)
            if first <= each.copy_id < first + _IDS:
                used.add(each.copy_id)
        self._copy_id = here[0] if here else max(used) + 1
        """One number for all copies in the destination."""

    def hindrance(self, original: Backup) -> str:
        """Why a backup cannot be copied there; empty if it can."""
        name = f"{original.noun} {_number(original)}"
        if not original.is_complete:
            return f"{name} is not complete: its STATUS is {original.status}"
        if original.file_status is not FileStatus.AVAILABLE:
            return f"{name} is not available: its FILE_STATUS is {original.file_status}"
        if original.destination in self._same:
            return f"{name} is in that destination itself; name another one"
        there = self._there(original)
        if there is None or there.file_status is FileStatus.INCOMPLETE:
            return ""
        if there.file_status is FileStatus.AVAILABLE:
            return f"{name} is there already, as COPY_ID {there.copy_id}"
        return f"{name} was there as COPY_ID {there.copy_id}, and is {there.file_status}; name another destination"

    def good_ones(self, original: Backup) -> int:
        """The number of a backup's available copies, anywhere."""
        return sum(each.file_status is FileStatus.AVAILABLE for each in self._by_key.get(original.key, ()))

    def begun(self, original: Backup) -> Backup:
        """The copy of a backup as it is while it is made: a new one, or one that was left incomplete."""
        there = self._there(original)
        return replace(
            original,
            copy_id=self._copy_id if there is None else there.copy_id,
            destination=self._destination,
            file_status=FileStatus.COPYING,
        )

    def _there(self, original: Backup) -> Backup | None:
        return next((each for each in self._by_key.get(original.key, ()) if each.destination in self._same), None)


def to_copy(selection: Selection, originals: Iterable[Backup], copies: Copies) -> list[Backup]:
    """The copies to make, in the order of the originals, as they are while they are made. Raises NotCopyableError."""
    if selection.number is None:
        most = selection.max_copies
        able = [each for each in originals if not copies.hindrance(each)]
        chosen = [each for each in able if most is None or copies.good_ones(each) < most]
    else:
        chosen = [each for each in originals if _number(each) == selection.number > 0]
        if not chosen:
            raise NotCopyableError(f"there is no backup with the number {selection.number}")
        for each in chosen:
            if hindrance := copies.hindrance(each):
                raise NotCopyableError(hindrance)
    return [copies.begun(each) for each in chosen]


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


def _number(backup: Backup) -> int:
    return backup.key.piece if isinstance(backup, BackupPiece) else backup.set_id
