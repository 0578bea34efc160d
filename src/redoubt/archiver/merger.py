"""Merges a piece's small objects into large ones: read, check, join, store, check again, then remove the parts.

The piece is readable at every moment: a merged object is durable and verified before a part is removed. A crash in
between leaves parts that the merged object covers; `tidy` removes them. A failure changes nothing.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redoubt.archive.joining import Joined
from redoubt.archive.listing import Listing
from redoubt.archive.segment import SegmentError, SegmentName, decode_log, decode_stored
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.chores import Chores
from redoubt.archiver.merging import LOG_CAP, MANY, NEWEST, SPAN, STORED_CAP, Part, plan_merge
from redoubt.archiver.opening import Tenure

T = TypeVar("T")

_LOOK_PAUSE = 1.0
"""Seconds between two searches for segments to merge."""
_CANNOT_REMOVE = "merged segments cannot be removed"


@dataclass(frozen=True)
class Merged:
    """A merged object: its name and SHA-256, the parts that it replaces, and the bytes saved."""

    name: SegmentName
    digest: str
    parts: tuple[Part, ...]
    saved: int


def merge(store: PieceStore, parts: Sequence[Part]) -> Merged:
    """Store one object for adjacent ones; does not remove them. Raises DestinationError, and ArchiveError at damage.

    When this returns, the object is durable and verified.
    """
    joined = Joined(store.keys)
    for part in parts:
        try:
            joined.add(part.name, store.get(part.name))
        except SegmentError as error:
            raise ArchiveError(f"{store.path.segment(part.name)} is damaged: {error}") from error
    name, size, digest = _put(store, joined)
    verify(store, name)
    return Merged(name, digest, tuple(parts), sum(part.size for part in parts) - size)


def _put(store: PieceStore, joined: Joined) -> tuple[SegmentName, int, str]:
    """Store the merged object; its name, size and SHA-256. So its bytes are gone when it is read again."""
    name, data = joined.finish()
    store.put(name, data)
    return name, len(data), hashlib.sha256(data).hexdigest()


def remove(store: PieceStore, parts: Sequence[Part]) -> None:
    """Remove the parts of a merged object; missing parts are ignored."""
    for part in parts:
        store.remove(part.name)


def verify(store: PieceStore, name: SegmentName) -> None:
    """Read an object and make all checks, chunk by chunk. Raises ArchiveError."""
    try:
        for _ in decode_log(*decode_stored(name, store.get(name), store.keys)):
            pass
    except SegmentError as error:
        raise ArchiveError(f"{store.path.segment(name)} is damaged: {error}") from error


def tidy(store: PieceStore, listing: Listing) -> None:
    """Remove objects whose log others hold that count: void ones, and the parts of merged ones. Raises ArchiveError.

    The others are read and checked before. A void object beyond them stays: it may be the only one with its log.
    """
    sound: set[SegmentName] = set()
    starts = [each.name.start_lsn for each in listing.objects]
    for each in (*listing.covered, *listing.void):
        at = bisect_right(starts, each.name.start_lsn) - 1
        covers = [other.name for other in listing.objects[max(at, 0) :] if other.name.start_lsn < each.name.end_lsn]
        if at < 0 or not covers or covers[-1].end_lsn < each.name.end_lsn:
            continue
        for cover in covers:
            if cover not in sound:
                verify(store, cover)
                sound.add(cover)
        store.remove(each.name)


@dataclass(frozen=True)
class _Outcome:
    """The result of a search: the `settled` oldest parts are never merged, and the parts after them became `merged`."""

    settled: int
    merged: Merged | None
    room: tuple[int, int] = (0, 0)


class Merger:
    """Merges a piece's segments while more segments arrive.

    Synchronous commit makes tens of thousands of segments. All work that grows with their number is done by the chores,
    so that `step` never delays a flush.
    """

    def __init__(
        self, store: PieceStore, chores: Chores, listing: Listing, clock: Callable[[], float], tenure: Tenure
    ) -> None:
        self._store = store
        self._chores = chores
        self._clock = clock
        ours = [each for each in listing.objects if tenure.may_replace(each.name)]
        self._parts = [Part(each.name, each.size) for each in ours if not each.name.is_merged]
        self._stored, self._log = _room(self._parts)
        self._is_looking = self._has_ended = False
        self._next_look = float("-inf")
        self._digests: dict[str, str] = {}
        self.saved_bytes = 0
        self.saved_objects = 0
        if listing.covered or listing.void:
            self._do(_CANNOT_REMOVE, lambda: tidy(store, listing), lambda _: None)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the objects that this job stored or merged, by the name in the folder."""
        return self._digests | {str(part.name): part.digest for part in self._parts if part.digest}

    def add(self, name: SegmentName, size: int, digest: str) -> None:
        """Add a segment that is durable."""
        part = Part(name, size, self._clock(), digest)
        self._parts.append(part)
        stored, log = part.room
        self._stored, self._log = self._stored + stored, self._log + log

    def step(self) -> None:
        """Start a search for segments to merge, if it is due."""
        now = self._clock()
        if self._is_looking or self._has_ended or now < self._next_look or not self._is_worth_a_look(now):
            return
        self._is_looking, self._next_look = True, now + _LOOK_PAUSE
        parts = tuple(self._parts)
        self._do("segments cannot be merged", lambda: self._look(parts, now), self._looked)

    def end(self) -> None:
        """Start nothing more, not even a retry: the piece is about to be frozen, and freezing merges the rest."""
        self._has_ended = True

    def _do(self, what: str, work: Callable[[], T], then: Callable[[T], None]) -> None:
        def work_unless_ended() -> T | None:
            return None if self._has_ended else work()

        def then_if_done(result: T | None) -> None:
            if result is not None:
                then(result)

        self._chores.do(what, work_unless_ended, then_if_done)

    def _is_worth_a_look(self, now: float) -> bool:
        """Whether there may be segments to merge. Cheap, because each step calls it."""
        if len(self._parts) <= NEWEST:
            return False
        is_ripe = len(self._parts) >= MANY + NEWEST and now - self._parts[0].arrived >= SPAN
        return is_ripe or self._stored >= STORED_CAP or self._log >= LOG_CAP

    def _look(self, parts: tuple[Part, ...], now: float) -> _Outcome:
        """Merge the oldest of these parts, if they are due. Runs as a chore."""
        plan = plan_merge(parts, now)
        merged = merge(self._store, plan.parts) if plan.parts else None
        return _Outcome(plan.settled, merged, _room(parts[: plan.settled + len(plan.parts)]))

    def _looked(self, outcome: _Outcome) -> None:
        self._is_looking = False
        self._stored, self._log = self._stored - outcome.room[0], self._log - outcome.room[1]
        self._digests.update((str(part.name), part.digest) for part in self._parts[: outcome.settled] if part.digest)
        del self._parts[: outcome.settled]
        if (merged := outcome.merged) is None:
            return
        del self._parts[: len(merged.parts)]
        self._digests[str(merged.name)] = merged.digest
        self.saved_bytes += merged.saved
        self.saved_objects += len(merged.parts) - 1
        self._do(_CANNOT_REMOVE, lambda: remove(self._store, merged.parts), lambda _: None)
        self._next_look = float("-inf")


def _room(parts: Sequence[Part]) -> tuple[int, int]:
    rooms = [part.room for part in parts]
    return sum(stored for stored, _ in rooms), sum(log for _, log in rooms)
