"""Which backups may be deleted, and which ones the recovery window still needs (OceanBase 3.x). Pure.

Invariants, which every function here keeps:

- A piece that is ACTIVE or FREEZING, or a set in DOING, is never deleted.
- The newest full set at or before the expire point is never obsolete, nor is log from the start of its replay on, nor
  log that any remaining set needs.
- In the current destination a piece is deleted only if a later full set makes the piece unnecessary. Pieces in an older
  destination are deleted on request.
- A restore point, a set that is kept by its name or as the first of its period, stays with the log that a restore to
  its snapshot needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey, PieceStatus


class FileStatus(StrEnum):
    """OceanBase's words for the state of the files of a set or a piece."""

    AVAILABLE = "AVAILABLE"
    COPYING = "COPYING"
    INCOMPLETE = "INCOMPLETE"
    DELETING = "DELETING"
    EXPIRED = "EXPIRED"
    BROKEN = "BROKEN"
    DELETED = "DELETED"


class SetStatus(StrEnum):
    """The status of a data backup."""

    DOING = "DOING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class Refusal(Enum):
    """Why something may not be deleted."""

    MISSING = "no such backup"
    NOT_FROZEN = "still being written"
    DELETED = "already deleted"
    NEEDED = "a restore may need the backup"


class NotDeletableError(Exception):
    """A backup may not be deleted. The text says what to do, or is empty; `status` is a piece's."""

    def __init__(self, refusal: Refusal, text: str = "", status: str = "") -> None:
        super().__init__(text)
        self.refusal = refusal
        self.status = status


@dataclass(frozen=True)
class BackupPiece:
    """A piece over all its tenants. SCNs in ns since the epoch; `max_scn` is the tenants' last.

    `min_scn` is the tenants' first. `tenants` are the ids of the user tenants that have a folder in it. `copy_id` is 0
    for an original.
    """

    key: PieceKey
    status: str
    file_status: FileStatus
    max_scn: int
    destination: str
    tenants: tuple[int, ...] = ()
    copy_id: int = 0
    min_scn: int = 0

    @property
    def noun(self) -> str:
        """The word for it in messages."""
        return "piece"

    def is_needed_by(self, point: BackupSet) -> bool:
        """Whether a restore to the snapshot of a set reads the piece."""
        is_there = self.destination == point.destination
        return is_there and self.min_scn < point.snapshot_scn and self.max_scn > point.start_replay_scn

    @property
    def is_complete(self) -> bool:
        """Whether it has all its data, and can be copied."""
        return self.status == PieceStatus.FROZEN

    @property
    def is_whole(self) -> bool:
        """Whether the piece is complete. INACTIVE is a copy of a piece that was ACTIVE."""
        return self.status in {PieceStatus.FROZEN, "INACTIVE"}

    @property
    def is_deletable(self) -> bool:
        """Whether the piece is complete and has files left. A deletion may be started again."""
        return self.is_whole and self.file_status not in {FileStatus.DELETED, FileStatus.COPYING}


@dataclass(frozen=True)
class BackupSet:
    """A data backup over all its tenants: the last snapshot among them, and the first start of replay.

    `tenants` are the ids of the user tenants that have a folder in it, `create_date` as in `SetKey`. `copy_id` is 0 for
    an original. The set is kept until `keep_until`, in ns since the epoch.
    """

    set_id: int
    is_full: bool
    status: str
    file_status: FileStatus
    snapshot_scn: int
    start_replay_scn: int
    destination: str
    create_date: int = 0
    tenants: tuple[int, ...] = ()
    copy_id: int = 0
    keep_until: int = 0

    @property
    def noun(self) -> str:
        """The word for it in messages."""
        return "data backup"

    def is_kept(self, now: int) -> bool:
        """Whether somebody wants the set to be kept; `now` in ns."""
        return self.is_there and self.keep_until > now

    @property
    def is_complete(self) -> bool:
        """Whether it has all its data, and can be copied."""
        return self.status == SetStatus.SUCCESS

    @property
    def key(self) -> SetKey:
        """The key that names the set's folders."""
        return SetKey(self.set_id, self.create_date)

    @property
    def is_usable(self) -> bool:
        """Whether a restore can begin with the set."""
        return self.status == SetStatus.SUCCESS and self.file_status is FileStatus.AVAILABLE

    @property
    def is_there(self) -> bool:
        """Whether any of the set's files are left."""
        return self.file_status is not FileStatus.DELETED


@dataclass(frozen=True)
class Periods:
    """Which sets are restore points by their age: the first of each `interval` ns, for `window` ns (0: for ever).

    An interval of 0 means none.
    """

    interval: int = 0
    window: int = 0


Backup = BackupSet | BackupPiece
"""A backup that may be deleted."""


@dataclass(frozen=True)
class Obsolete:
    """The sets and pieces that the recovery window does not need, oldest first."""

    sets: tuple[BackupSet, ...] = ()
    pieces: tuple[BackupPiece, ...] = ()


def piece_to_delete(
    number: int, pieces: Iterable[BackupPiece], sets: Iterable[BackupSet], destination: str, now: int
) -> BackupPiece:
    """The piece of that number, if it may be deleted; `destination` is the current one, `now` in ns.

    Raises NotDeletableError.
    """
    piece = next((each for each in pieces if each.key.piece == number), None) if number > 0 else None
    if piece is None:
        raise NotDeletableError(Refusal.MISSING)
    _check_pieces([piece], list(sets), destination, now)
    return piece


def round_to_delete(
    number: int,
    stopped: Collection[int],
    pieces: Iterable[BackupPiece],
    sets: Iterable[BackupSet],
    destination: str,
    now: int,
) -> tuple[BackupPiece, ...]:
    """The remaining pieces of a round, oldest first, if all may be deleted; `stopped` are the rounds that have ended.

    `now` in ns. Raises NotDeletableError.
    """
    parts = sorted((each for each in pieces if each.key.round == number), key=_age)
    if number not in stopped or not parts:
        raise NotDeletableError(Refusal.MISSING)
    left = [each for each in parts if each.file_status is not FileStatus.DELETED] or parts
    _check_pieces(left, list(sets), destination, now)
    return tuple(left)


def set_to_delete(number: int, sets: Iterable[BackupSet], destination: str, now: int) -> BackupSet:
    """The set of that number, if it may be deleted; a FAILED set without good parts always may. `now` in ns.

    Raises NotDeletableError.
    """
    present = [each for each in sets if each.is_there]
    found = next((each for each in present if each.set_id == number), None)
    if found is None:
        raise NotDeletableError(Refusal.MISSING)
    if found.status == SetStatus.DOING:
        raise NotDeletableError(Refusal.NEEDED, f"set {number} is still being taken; run ALTER SYSTEM CANCEL BACKUP")
    if found.is_kept(now):
        raise NotDeletableError(
            Refusal.NEEDED, f"set {number} is kept; run ALTER SYSTEM CHANGE BACKUPSET {number} NOKEEP first"
        )
    has_no_part = found.status == SetStatus.FAILED and found.file_status is not FileStatus.AVAILABLE
    if found.destination != destination or has_no_part:
        return found
    here = [each for each in present if each.destination == destination]
    if not any(each.is_full and _is_good(each, destination) and each.set_id > number for each in here):
        raise NotDeletableError(
            Refusal.NEEDED, f"no newer full set replaces set {number}; run ALTER SYSTEM BACKUP DATABASE first"
        )
    before = (each for each in here if each.set_id < number and not each.is_kept(now))
    older = [each.set_id for each in before if each.status != SetStatus.FAILED]
    if older:
        raise NotDeletableError(Refusal.NEEDED, f"set {min(older)} is older; delete set {min(older)} first")
    return found


def obsolete(
    pieces: Iterable[BackupPiece],
    sets: Iterable[BackupSet],
    destination: str,
    window: int,
    now: int,
    periods: Periods = Periods(),
) -> Obsolete:
    """The backups in the current destination that no restore within the last `window` ns needs. `now` in ns.

    Restore points, and the log that they need, are not among them.
    """
    here = sorted((each for each in sets if each.destination == destination), key=lambda each: each.set_id)
    kept = max(
        (each for each in here if each.is_full and each.is_usable and each.snapshot_scn <= now - window),
        key=lambda each: (each.snapshot_scn, each.set_id),
        default=None,
    )
    if kept is None:
        return Obsolete()
    before = [each for each in here if _is_before(each, kept)]
    points = [each for each in _restore_points(here, periods, now) if each in before]
    old = tuple(each for each in before if each.is_there and each not in points)
    needing = (each for each in here if each not in before and (each.is_usable or each.status == SetStatus.DOING))
    log_from = min(each.start_replay_scn for each in needing)
    gone = (each for each in pieces if each.destination == destination and each.is_deletable)
    needless = (each for each in gone if each.max_scn <= log_from and not any(map(each.is_needed_by, points)))
    return Obsolete(old, tuple(sorted(needless, key=_age)))


def _restore_points(sets: list[BackupSet], periods: Periods, now: int) -> list[BackupSet]:
    """The usable sets that are kept by their name, and the first full one of each period."""
    usable = [each for each in sets if each.is_usable]
    firsts: dict[int, BackupSet] = {}
    if periods.interval:
        for each in sorted(usable, key=lambda each: (each.snapshot_scn, each.set_id)):
            if each.is_full and (not periods.window or each.snapshot_scn > now - periods.window):
                firsts.setdefault(each.snapshot_scn // periods.interval, each)
    return [each for each in usable if each.is_kept(now) or each in firsts.values()]


def _is_before(each: BackupSet, kept: BackupSet) -> bool:
    """Whether `kept` makes a set unnecessary; never true of a set in DOING."""
    is_older = each.set_id < kept.set_id and each.snapshot_scn <= kept.snapshot_scn
    return is_older and each.status != SetStatus.DOING


def _check_pieces(parts: list[BackupPiece], sets: list[BackupSet], destination: str, now: int) -> None:
    """OceanBase's conditions in its order: complete, not deleted yet, and not needed."""
    for each in parts:
        if not each.is_whole:
            raise NotDeletableError(Refusal.NOT_FROZEN, status=each.status)
    for each in parts:
        if not each.is_deletable:
            raise NotDeletableError(Refusal.DELETED, status=each.status)
    last = max(each.max_scn for each in parts)
    needless = (each.start_replay_scn >= last for each in sets if each.is_full and _is_good(each, destination))
    if any(each.destination == destination for each in parts) and not any(needless):
        raise NotDeletableError(
            Refusal.NEEDED,
            "no full data backup in the current backup_dest makes this log unnecessary; "
            "run ALTER SYSTEM BACKUP DATABASE first",
        )
    kept = [each for each in sets if each.is_usable and each.is_kept(now)]
    if holder := next((point for point in kept for each in parts if each.is_needed_by(point)), None):
        raise NotDeletableError(
            Refusal.NEEDED,
            f"set {holder.set_id} is kept, and needs this log; run ALTER SYSTEM CHANGE BACKUPSET {holder.set_id} "
            "NOKEEP first",
        )


def _is_good(each: BackupSet, destination: str) -> bool:
    return each.is_usable and each.destination == destination


def _age(piece: BackupPiece) -> tuple[int, int]:
    return piece.key.round, piece.key.piece
