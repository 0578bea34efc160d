"""The hole between a round and the one before it: measured in the destination, and put on record there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redoubt.archive.layout import ClusterPath, HoleInfo, Interruption, RoundInfo
from redoubt.archive.manifest import Manifest
from redoubt.archive.segment import SegmentHeader
from redoubt.archive.store import PieceStore
from redoubt.archiver.freezing import Freezer, frozen
from redoubt.archiver.messages import ArchiveRound, HoleClosed
from redoubt.archiver.opening import Tenure
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import ObjectMissingError

STOPPED = "archiving was stopped"


class Hole:
    """The hole before the round that `task` begins. `holder` and `now`: see `Means`."""

    def __init__(self, task: ArchiveRound, store: PieceStore, holder: str, now: Callable[[], int]) -> None:
        assert task.after is not None, "only a round that follows another has a hole before it"
        self._after = task.after
        self._task = task
        self._store = store
        self.what = f"the end of round {task.after} cannot be recorded"
        path = ClusterPath(task.cluster, task.cluster_id).piece(task.tenant_id, PieceKey(task.after))
        self._previous = PieceStore(store.destination, path)
        self._tenure = Tenure(self._previous, holder)
        cluster = (task.cluster, task.cluster_id)
        self._freezer = Freezer(self._previous, cluster, now, {}, lambda _done, _total: None)

    def close(self) -> HoleClosed:
        """Put on record what is missing, if anything is: this round's first segment must be durable.

        Freezes the round before if that has not been done. Idempotent. Raises ArchiveError if something is damaged, and
        DestinationError, LockedError among them while the round before still has a writer.
        """
        known = self._store.recorded(HoleInfo, self._store.path.hole)
        if known is None:
            first, _ = self._store.read(self._store.segments()[0][0])
            nothing = HoleInfo(
                tenant_id=self._task.tenant_id,
                round=self._task.round,
                after=self._after,
                start_lsn=first.start_lsn,
                start_scn=first.min_scn,
                end_lsn=first.start_lsn,
                end_scn=first.min_scn,
                since=0,
                cause=STOPPED,
            )
            known = self._measured(nothing, first)
            if known.end_lsn > known.start_lsn:
                known = self._store.put_record(known, self._store.path.hole)
        return HoleClosed(
            known.tenant_id,
            known.round,
            known.after,
            known.start_lsn,
            known.start_scn,
            known.end_lsn,
            known.end_scn,
        )

    def _measured(self, nothing: HoleInfo, first: SegmentHeader) -> HoleInfo:
        try:
            info = self._previous.claimed(self._task.identity, None)
        except ObjectMissingError:  # it was stopped before the destination took anything of it
            return nothing
        manifest = self._seal(info)
        if info.source != first.source:
            return nothing  # another engine's log: LSNs of the two cannot be compared
        broken = self._previous.recorded(Interruption, self._previous.path.interruption)
        return replace(
            nothing,
            start_lsn=manifest.piece.end_lsn,
            start_scn=manifest.piece.end_scn or info.start_scn,
            since=manifest.piece.frozen_at if broken is None else broken.broken_at,
            cause=STOPPED if broken is None else broken.cause,
        )

    def _seal(self, info: RoundInfo) -> Manifest:
        if (manifest := frozen(self._previous)) is not None:
            return manifest
        self._tenure.take()
        try:
            return self._freezer.freeze(info)
        finally:
            self._tenure.release()
