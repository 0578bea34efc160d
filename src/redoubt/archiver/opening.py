"""Opens a piece in a destination: takes its writer's lock, claims it, and finds its end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from redoubt.archive.encryption import Key
from redoubt.archive.layout import ClusterPath, Interruption, PieceInfo, Takeover
from redoubt.archive.listing import Listing
from redoubt.archive.manifest import Manifest
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import ArchiveEnd, ArchiveError, PieceStore
from redoubt.messages.archiving import ArchivePiece
from redoubt.model.log import LogPosition
from redoubt.model.seams import DestinationError, Lock, ObjectMissingError


@dataclass(frozen=True)
class Opened:
    """An opened piece. A piece with a manifest is complete: nothing may be added.

    New segments are encrypted with `key`, if there is one.
    """

    info: PieceInfo
    end: ArchiveEnd
    listing: Listing
    manifest: Manifest | None
    key: Key | None = None


class Tenure:
    """The writer's lock of one piece's folder in this process. Two threads may use the tenure."""

    def __init__(self, store: PieceStore, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._guard = threading.Lock()
        self._is_wanted = False
        self._lock: Lock | None = None
        self._first_epoch = 0
        self._after = 0
        self.epoch = 0
        """The epoch in the names of this writer's objects, see `listing`; 0 where the lock is no lease."""

    def take(self) -> None:
        """Hold the lock. Idempotent; raises LockedError while another writer has it."""
        with self._guard:
            self._is_wanted = True
            if self._lock is None:
                self._lock = self._store.destination.lock(self._store.path.lock, self._holder, self._after)

    def take_again(self) -> bool:
        """Take the lock again if it is not in its place any more; whether that was so. Raises DestinationError.

        After a failure the lock is not held, and the next call tries again.
        """
        with self._guard:
            if not self._is_wanted or (self._lock is not None and self._lock.is_in_place()):
                return False
            self._let_go()
            self._lock = self._store.destination.lock(self._store.path.lock, self._holder, self._after)
            return True

    def begin(self, store: PieceStore, listing: Listing, lsn: int) -> None:
        """Record that the log from `lsn` on is this writer's, if its lock is a lease. Raises DestinationError.

        Call this after each taking of the lock, with a listing made since. What former writers stored beyond `lsn`, or
        will have stored because a request of theirs arrives late, is void from now on.
        """
        lock = self._lock
        if lock is None or not lock.epoch:
            return
        if listing.epoch > lock.epoch - (lock.epoch != self.epoch):  # another has taken it, or its objects were removed
            self._after = listing.epoch
            self._let_go()
            raise DestinationError(f"the lease of {store.path.folder} has been taken by another process")
        store.put_record(Takeover(lock.epoch, lsn, self._holder), store.path.takeover(lock.epoch, lsn))
        self._first_epoch, self.epoch = self._first_epoch or lock.epoch, lock.epoch

    def may_replace(self, name: SegmentName) -> bool:
        """Whether a segment is this writer's, and may be merged: a former writer may still be merging its own."""
        return self._first_epoch <= name.epoch <= self.epoch

    def check(self) -> None:
        """Raise DestinationError if this writer's lease has run out: another one may have begun."""
        lock = self._lock
        if self.epoch and (lock is None or not lock.is_in_place()):
            raise DestinationError(f"the lease of {self._store.path.folder} has run out, and is taken again")

    def release(self) -> None:
        """Release the lock. Idempotent."""
        with self._guard:
            self._is_wanted = False
            self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def open_piece(store: PieceStore, task: ArchivePiece, tenure: Tenure, *, encrypts: bool = False) -> Opened:
    """Claim the piece as its only writer, or continue an own claim; record the interruption that the task names.

    With `encrypts`, a key for new segments is found in the piece, or put there.

    Raises ArchiveError if the piece is damaged or belongs to another owner, or if its recorded interruption is unknown
    to the task; and DestinationError. A failed call may be repeated.
    """
    info = _claimed(store, task)  # before the lock, which would create the folder on an unmounted disk
    tenure.take()
    if info is None:
        info = store.claim(_piece_info(task, _start(store, task)))
    opened = begin(store, info, tenure)
    is_cut = bool(task.switch_scn) and opened.end.position.scn >= task.switch_scn
    if not task.broken_by:
        _refuse_interrupted(store, opened, tenure)
    elif opened.manifest is None and not is_cut:
        valid_interruption(store, tenure, opened.end.position.lsn)
        _record_interruption(store, task, opened.end)
    needs_key = encrypts and not task.broken_by and not is_cut and opened.manifest is None
    return replace(opened, key=store.keys.for_writing()) if needs_key else opened


def begin(store: PieceStore, info: PieceInfo, tenure: Tenure) -> Opened:
    """Continue a claimed piece, whose lock is held, at its end. Raises ArchiveError and DestinationError.

    A former writer's manifest may be stored late, see `listing`: one that is not of this log is removed.
    """
    listing = max(store.listing(), store.listing(), key=_end_of)  # a single one may miss objects at its end
    end = store.resume(info, listing)
    tenure.begin(store, listing, end.position.lsn)
    return Opened(info, end, listing, valid_manifest(store, tenure, listing, end.position.lsn))


def _end_of(listing: Listing) -> int:
    return listing.objects[-1].name.end_lsn if listing.objects else -1


def valid_manifest(store: PieceStore, tenure: Tenure, listing: Listing, end_lsn: int) -> Manifest | None:
    """The manifest, None if the piece is not frozen; removes a former writer's. Raises as `begin` does."""
    manifest = store.stored_manifest()
    if manifest is None or not tenure.epoch:
        return manifest
    if manifest.piece.end_lsn < end_lsn or listing.has_void(manifest.names):
        tenure.check()
        store.destination.delete(store.path.manifest)
        return None
    return manifest


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


def valid_interruption(store: PieceStore, tenure: Tenure, end_lsn: int) -> Interruption | None:
    """The record of an interruption, None without one; removes a former writer's that was stored late."""
    record = store.recorded(Interruption, store.path.interruption)
    if record is not None and tenure.epoch and record.end_lsn < end_lsn:
        tenure.check()
        store.destination.delete(store.path.interruption)
        return None
    return record


def _refuse_interrupted(store: PieceStore, opened: Opened, tenure: Tenure) -> None:
    """Raise ArchiveError with the recorded cause of an interruption that the task does not know.

    A service that was killed before its catalog had the interruption learns the original cause in this way.
    """
    if opened.manifest is not None:
        return
    record = valid_interruption(store, tenure, opened.end.position.lsn)
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
