"""Guards a piece against a destination that is exchanged or emptied under its writer.

A disk can be detached and another one mounted in its place while a round runs. The writer's lock is then on the old
disk, where no other writer looks for it, and the new disk may lack log that was stored. Somebody can also remove the
claims by which readers know whose log this is.
"""

from __future__ import annotations

from collections.abc import Callable

from redoubt.archive.encryption import WrappedKey
from redoubt.archive.layout import ClusterInfo, ClusterPath, PieceInfo
from redoubt.archive.listing import Listing
from redoubt.archive.record import Record
from redoubt.archive.store import ArchiveError, PieceStore, exists
from redoubt.archiver.chores import PERSISTENT
from redoubt.archiver.opening import Tenure
from redoubt.messages.archiving import ArchivePiece
from redoubt.model.seams import DestinationError

CLAIMS_EVERY = 60.0
"""Seconds between two looks at the claims."""
_TOLD_FOR = PERSISTENT + 1
"""Seconds for which a removed claim is a complaint, before it is written again."""
_EXCHANGED = "the destination was exchanged while the round ran, bring the former one back (mount it again)"


class ContinuedError(Exception):
    """Another process has opened the piece while this one's lease had run out; the piece must be opened again."""


class Guard:
    """The guard of one claimed piece. `clock()` gives monotonic seconds. `key` is that of the writer's segments."""

    def __init__(
        self,
        task: ArchivePiece,
        info: PieceInfo,
        tenure: Tenure,
        clock: Callable[[], float],
        key: WrappedKey | None = None,
    ) -> None:
        self._key = key
        path = ClusterPath(task.cluster, task.cluster_id)
        self._info = info
        self._cluster = path.info, ClusterInfo(task.cluster, task.cluster_id, task.identity)
        self._tenure = tenure
        self._clock = clock
        self._is_checked = True
        self._missing_since: float | None = None

    def check(self, store: PieceStore, start_lsn: int, end_lsn: int) -> None:
        """Check that the log from `start_lsn` to `end_lsn` continues the piece in the present destination.

        Cheap as long as the writer's lock is in its place. Raises DestinationError, to be retried, and ContinuedError.
        """
        was_checked, self._is_checked = self._is_checked, False
        if self._tenure.take_again() or not was_checked:
            listing = store.listing()
            if listing.epoch > self._tenure.epoch:
                raise ContinuedError(f"{store.path.folder} was opened by another process")
            self._check_end(store, listing, start_lsn, end_lsn)
            self._tenure.begin(store, listing, start_lsn)
        self._is_checked = True

    def keep_claims(self, store: PieceStore, start_lsn: int) -> None:
        """Write the claims again if somebody has removed them, but only in the right place.

        `start_lsn`: log up to there is stored. Raises DestinationError while a claim is missing and not written again.
        """
        self.keep_key(store)
        claims: tuple[tuple[str, Record], ...] = (self._cluster, (store.path.info, self._info))
        missing = [(name, claim) for name, claim in claims if not exists(store.destination, name)]
        if not missing:
            self._missing_since = None
            return
        now = self._clock()
        self._missing_since = now if self._missing_since is None else self._missing_since
        if now - self._missing_since < _TOLD_FOR:
            raise DestinationError(f"{missing[0][0]} was removed from the destination, and is written again soon")
        self._check_end(store, store.listing(), start_lsn, None)
        for name, claim in missing:
            store.put_record(claim, name)
        self._missing_since = None

    def keep_key(self, store: PieceStore) -> None:
        """Write the wrapped key of the writer's segments again if somebody has removed it. Raises DestinationError."""
        if self._key is not None:
            store.keys.put(self._key)

    def _check_end(self, store: PieceStore, listing: Listing, start_lsn: int, end_lsn: int | None) -> None:
        """Raise DestinationError unless the log ends at `start_lsn` or `end_lsn`; or anywhere after if that is None."""
        try:
            there = store.resume(self._info, listing).position.lsn
        except ArchiveError as error:
            raise DestinationError(f"{_EXCHANGED}: {error}") from error
        if there < start_lsn or (end_lsn is not None and there not in {start_lsn, end_lsn}):
            raise DestinationError(
                f"{_EXCHANGED}: {store.path.folder} ends at LSN {there}, but log to LSN {start_lsn} was stored before"
            )
