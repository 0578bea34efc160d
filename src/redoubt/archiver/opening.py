"""Opens a piece in a destination: takes its writer's lock, claims it, and finds its end."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from redoubt.archive.layout import ClusterPath, Interruption, PieceInfo
from redoubt.archive.listing import Listing
from redoubt.archive.manifest import Manifest
from redoubt.archive.store import ArchiveEnd, ArchiveError, PieceStore
from redoubt.messages.archiving import ArchivePiece
from redoubt.model.log import LogPosition
from redoubt.model.seams import DestinationError, Lock, ObjectMissingError


@dataclass(frozen=True)
class Opened:
    """An opened piece. A piece with a manifest is complete: nothing may be added."""

    info: PieceInfo
    end: ArchiveEnd
    listing: Listing
    manifest: Manifest | None


class Tenure:
    """The writer's lock of one piece's folder in this process. Two threads may use the tenure."""

    def __init__(self, store: PieceStore, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._guard = threading.Lock()
        self._is_wanted = False
        self._lock: Lock | None = None

    def take(self) -> None:
        """Hold the lock. Idempotent; raises LockedError while another writer has it."""
        with self._guard:
            self._is_wanted = True
            if self._lock is None:
                self._lock = self._store.destination.lock(self._store.path.lock, self._holder)

    def take_again(self) -> bool:
        """Take the lock again if it is not in its place any more; whether that was so. Raises DestinationError.

        After a failure the lock is not held, and the next call tries again.
        """
        with self._guard:
            if not self._is_wanted or (self._lock is not None and self._lock.is_in_place()):
                return False
            self._let_go()
            self._lock = self._store.destination.lock(self._store.path.lock, self._holder)
            return True

    def release(self) -> None:
        """Release the lock. Idempotent."""
        with self._guard:
            self._is_wanted = False
            self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def open_piece(store: PieceStore, task: ArchivePiece, tenure: Tenure) -> Opened:
    """Claim the piece as its only writer, or continue an own claim; record the interruption that the task names.

    Raises ArchiveError if the piece is damaged or belongs to another owner, or if its recorded interruption is unknown
    to the task; and DestinationError. A failed call may be repeated.
    """
    info = _claimed(store, task)  # before the lock, which would create the folder on an unmounted disk
    tenure.take()
    if info is None:
        info = store.claim(_piece_info(task, _start(store, task)))
    listing = store.listing()
    opened = Opened(info, store.resume(info, listing), listing, store.manifest())
    is_cut = bool(task.switch_scn) and opened.end.position.scn >= task.switch_scn
    if not task.broken_by:
        _refuse_interrupted(store, opened)
    elif opened.manifest is None and not is_cut:
        _record_interruption(store, task, opened.end)
    return opened


def _claimed(store: PieceStore, task: ArchivePiece) -> PieceInfo | None:
    """The existing claim, None for a piece that this task may begin. Raises as `open_piece` does."""
    if task.start_lsn is not None:
        return None
    try:
        return store.claimed(task.identity, task.source)
    except ObjectMissingError:
        if task.previous is None:
            raise
    _previous_store(store, task).claimed(task.identity, task.source)
    return None


def _start(store: PieceStore, task: ArchivePiece) -> LogPosition:
    """Where an unclaimed piece begins.

    The job of the piece before may be merging it, so that a listing misses its last object. The cut's SCN is the known
    end of that piece. Raises DestinationError until the destination shows this end.
    """
    if task.start_lsn is not None:
        return LogPosition(task.start_lsn, task.start_scn)
    end = _end_of_previous(store, task)
    if end.scn < task.start_scn:
        raise DestinationError(f"piece {task.previous} ends at SCN {end.scn}, but must reach SCN {task.start_scn}")
    if end.scn > task.start_scn:
        raise ArchiveError(f"piece {task.previous} ends after SCN {task.start_scn}, where piece {task.key} begins")
    return end


def _end_of_previous(store: PieceStore, task: ArchivePiece) -> LogPosition:
    previous = _previous_store(store, task)
    if (manifest := previous.manifest()) is not None:
        return manifest.piece.end
    return previous.resume(previous.claimed(task.identity, task.source)).position


def _previous_store(store: PieceStore, task: ArchivePiece) -> PieceStore:
    """The piece before the task's piece."""
    assert task.previous is not None, "the task's piece begins the tenant's part of the round"
    path = ClusterPath(task.cluster, task.cluster_id).piece(task.tenant_id, task.previous)
    return PieceStore(store.destination, path)


def _refuse_interrupted(store: PieceStore, opened: Opened) -> None:
    """Raise ArchiveError with the recorded cause of an interruption that the task does not know.

    A service that was killed before its catalog had the interruption learns the original cause in this way.
    """
    record = None if opened.manifest is not None else store.recorded(Interruption, store.path.interruption)
    if record is not None:
        raise ArchiveError(record.cause)


def _record_interruption(store: PieceStore, task: ArchivePiece, end: ArchiveEnd) -> None:
    record = Interruption(
        tenant_id=task.tenant_id,
        round=task.round,
        source=task.source,
        end_lsn=end.position.lsn,
        end_scn=end.position.scn,
        broken_at=task.broken_at,
        cause=task.broken_by,
    )
    store.put_record(record, store.path.interruption)


def _piece_info(task: ArchivePiece, start: LogPosition) -> PieceInfo:
    return PieceInfo(
        identity=task.identity,
        tenant_id=task.tenant_id,
        tenant=task.tenant,
        source=task.source,
        round=task.round,
        piece=task.piece,
        start_lsn=start.lsn,
        start_scn=start.scn,
        start_chain=start.chain,
        engine_kind=task.engine_kind,
    )
