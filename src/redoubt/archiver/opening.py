"""Opening a round in a destination: its writer's lock, its claim, and where it ends."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from redoubt.archive.layout import Interruption, RoundInfo
from redoubt.archive.listing import Listing
from redoubt.archive.manifest import Manifest
from redoubt.archive.store import ArchiveEnd, PieceStore
from redoubt.archiver.freezing import frozen
from redoubt.archiver.messages import ArchiveRound
from redoubt.model.seams import Lock


@dataclass(frozen=True)
class Opened:
    """A round as it was found. Nothing may be added to one that has a manifest."""

    info: RoundInfo
    end: ArchiveEnd
    listing: Listing
    manifest: Manifest | None


class Tenure:
    """The writer's lock of one round's folder, while this process has it. Two threads may ask."""

    def __init__(self, store: PieceStore, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._guard = threading.Lock()
        self._lock: Lock | None = None

    def take(self) -> None:
        """Hold the lock. Idempotent; raises LockedError while another writer has it."""
        with self._guard:
            if self._lock is None:
                self._lock = self._store.destination.lock(self._store.path.lock, self._holder)

    def release(self) -> None:
        """Let it go. Idempotent."""
        with self._guard:
            if self._lock is not None:
                self._lock.release()
                self._lock = None


def open_round(store: PieceStore, task: ArchiveRound, tenure: Tenure) -> Opened:
    """Claim the round, or find it claimed, as its only writer; an interruption that the task tells of is put on record.

    Raises ArchiveError if the round is not ours or damaged, and DestinationError; either may be asked again.
    """
    if task.start_lsn is None:
        info = store.claimed(task.identity, task.source)  # before the lock: a disk that is not mounted gets no folder
        tenure.take()
    else:
        tenure.take()
        info = store.claim(_round_info(task, task.start_lsn))
    listing = store.listing()
    opened = Opened(info, store.resume(info, listing), listing, frozen(store))
    if task.broken_by and opened.manifest is None:
        _record_interruption(store, task, opened.end)
    return opened


def _record_interruption(store: PieceStore, task: ArchiveRound, end: ArchiveEnd) -> None:
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


def _round_info(task: ArchiveRound, start_lsn: int) -> RoundInfo:
    return RoundInfo(
        identity=task.identity,
        tenant_id=task.tenant_id,
        tenant=task.tenant,
        source=task.source,
        round=task.round,
        piece=task.piece,
        start_lsn=start_lsn,
        start_scn=task.start_scn,
    )
