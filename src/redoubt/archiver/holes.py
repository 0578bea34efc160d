"""The hole between a round and the one before: measured in the destination, and recorded there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redoubt.archive.layout import ClusterPath, HoleInfo, PieceInfo
from redoubt.archive.manifest import Manifest
from redoubt.archive.segment import SegmentHeader
from redoubt.archive.store import PieceStore, piece_keys
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.opening import Tenure, begin
from redoubt.messages.archiving import ArchivePiece, HoleClosed
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import ObjectMissingError

STOPPED = "archiving was stopped"


class Hole:
    """The hole before the round of `task`. `holder` and `now`: see `JobResources`."""

    def __init__(self, task: ArchivePiece, store: PieceStore, holder: str, now: Callable[[], int]) -> None:
        assert task.after is not None, "only a round that follows another has a hole before it"
        self._after = task.after
        self._task = task
        self._store = store
        self._holder = holder
        self._now = now
        self._freezers: dict[PieceKey, tuple[Tenure, Freezer]] = {}
        self.what = f"the end of round {task.after} cannot be recorded"

    def close(self) -> HoleClosed:
        """Record the hole, if log is missing. This round's first segment must be durable.

        Freezes the round before, unless it is frozen. Idempotent. Raises ArchiveError if an object is damaged,
        DestinationError, and LockedError while the round before still has a writer.
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
        """The hole between the last piece of the round before and this round's first segment."""
        path, destination = ClusterPath(self._task.cluster, self._task.cluster_id), self._store.destination
        last: tuple[PieceStore, PieceInfo, Manifest] | None = None
        for key in piece_keys(destination, path, self._task.tenant_id, self._after):
            store = PieceStore(destination, path.piece(self._task.tenant_id, key))
            try:
                info = store.claimed(self._task.identity, None)
            except ObjectMissingError:
                continue  # the round was stopped before the piece was claimed
            last = (store, info, self._seal(key, store, info))
        if last is None:
            return nothing
        store, info, manifest = last
        if info.source != first.of.source:
            return nothing  # another engine's log: LSNs of the two cannot be compared
        broken = store.interruption()
        return replace(
            nothing,
            start_lsn=manifest.piece.end_lsn,
            start_scn=manifest.piece.end_scn or info.start_scn,
            since=manifest.piece.frozen_at if broken is None else broken.broken_at,
            cause=STOPPED if broken is None else broken.cause,
        )

    def _seal(self, key: PieceKey, store: PieceStore, info: PieceInfo) -> Manifest:
        if (manifest := store.manifest()) is not None:
            return manifest
        if key not in self._freezers:
            tenure, cluster = Tenure(store, self._holder), (self._task.cluster, self._task.cluster_id)
            freezer = Freezer(store, tenure, cluster, self._now, {}, lambda _done, _total: None)
            self._freezers[key] = tenure, freezer  # kept, so that a retry reads nothing twice
        tenure, freezer = self._freezers[key]
        tenure.take()
        try:
            return freezer.freeze(info, begin(store, info, tenure).end.position.lsn)
        finally:
            tenure.release()
