"""Makes large objects of a round's small ones: read back, checked, joined, stored, checked again; then the parts go.

At every moment the round can be read: the merged object is durable, and known to be sound, before a part is removed.
A crash in between leaves parts that the merged object covers; `tidy` removes them. What fails changes nothing.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redoubt.archive.chores import Chores
from redoubt.archive.joining import Joined
from redoubt.archive.listing import Listing
from redoubt.archive.merging import LOG_CAP, MANY, NEWEST, SPAN, STORED_CAP, Part, plan_merge
from redoubt.archive.segment import SegmentError, SegmentName, decode_log, decode_stored
from redoubt.archive.store import ArchiveError, RoundStore

T = TypeVar("T")

_LOOK_PAUSE = 1.0
"""Seconds between two looks for something to merge."""


@dataclass(frozen=True)
class Merged:
    """A merged object: its name, size in bytes and SHA-256, and the parts that it replaces."""

    name: SegmentName
    size: int
    digest: str
    parts: tuple[Part, ...]


def merge(store: RoundStore, parts: Sequence[Part]) -> Merged:
    """Store one object for neighbouring ones, which stay. Raises ArchiveError if one is damaged, and DestinationError.

    When this returns, the object is durable and has been read back.
    """
    joined = Joined()
    for part in parts:
        try:
            joined.add(part.name, store.get(part.name))
        except SegmentError as error:
            raise ArchiveError(f"{store.path.segment(part.name)} is damaged: {error}") from error
    name, data = joined.finish()
    store.put(name, data)
    verify(store, name)
    return Merged(name, len(data), hashlib.sha256(data).hexdigest(), tuple(parts))


def remove(store: RoundStore, parts: Sequence[Part]) -> None:
    """Remove what a merged object holds as well; those that are gone already are passed over."""
    for part in parts:
        store.remove(part.name)


def verify(store: RoundStore, name: SegmentName) -> None:
    """Read an object back and make every check, a part of the log at a time. Raises ArchiveError."""
    try:
        for _ in decode_log(*decode_stored(name, store.get(name))):
            pass
    except SegmentError as error:
        raise ArchiveError(f"{store.path.segment(name)} is damaged: {error}") from error


def tidy(store: RoundStore, listing: Listing) -> None:
    """Remove what merged objects cover, once these have been checked. Raises ArchiveError."""
    sound: set[SegmentName] = set()
    starts = [each.name.start_lsn for each in listing.objects]
    for each in listing.covered:
        cover = listing.objects[bisect_right(starts, each.name.start_lsn) - 1].name
        if cover not in sound:
            verify(store, cover)
            sound.add(cover)
        store.remove(each.name)


class Merger:
    """Merges a round's segments while more of them come. Keeps no more of them in mind than are to be merged yet."""

    def __init__(self, store: RoundStore, chores: Chores, listing: Listing, clock: Callable[[], float]) -> None:
        self._store = store
        self._chores = chores
        self._clock = clock
        self._parts = [Part(each.name, each.size) for each in listing.objects if not each.name.is_merged]
        self._sum = [sum(part.size for part in self._parts), sum(_log(part) for part in self._parts)]
        self._is_merging = self._has_ended = False
        self._next_look = float("-inf")
        self.digests: dict[str, str] = {}
        """SHA-256 of what was stored and merged by this job, by the name in the folder."""
        self.saved_bytes = 0
        self.saved_objects = 0
        if listing.covered:
            self._do("merged segments cannot be removed", lambda: tidy(store, listing), lambda _: None)

    def add(self, name: SegmentName, size: int, digest: str) -> None:
        """A segment is durable."""
        part = Part(name, size, self._clock())
        self._parts.append(part)
        self._count(part, 1)
        self.digests[str(name)] = digest

    def step(self) -> None:
        """Have something merged, if it is time to."""
        now = self._clock()
        if self._is_merging or self._has_ended or now < self._next_look or not self._is_worth_a_look(now):
            return
        self._next_look = now + _LOOK_PAUSE
        plan = plan_merge(self._parts, now)
        for part in self._parts[: plan.settled]:
            self._count(part, -1)
        del self._parts[: plan.settled]
        if plan.parts:
            self._is_merging = True
            self._do("segments cannot be merged", lambda: merge(self._store, plan.parts), self._merged)

    def end(self) -> None:
        """Begin nothing any more, not even what failed before: the round is about to be frozen, which does the rest."""
        self._has_ended = True

    def _do(self, what: str, work: Callable[[], T], then: Callable[[T], None]) -> None:
        def work_unless_ended() -> T | None:
            return None if self._has_ended else work()

        def then_if_done(result: T | None) -> None:
            if result is not None:
                then(result)

        self._chores.do(what, work_unless_ended, then_if_done)

    def _is_worth_a_look(self, now: float) -> bool:
        """Whether there may be something to merge; what is asked at each step must cost nothing."""
        if len(self._parts) <= NEWEST:
            return False
        is_old = len(self._parts) >= MANY + NEWEST and now - self._parts[0].arrived >= SPAN
        return is_old or self._sum[0] >= STORED_CAP or self._sum[1] >= LOG_CAP

    def _merged(self, merged: Merged) -> None:
        for part in merged.parts:
            self._count(part, -1)
            self.digests.pop(str(part.name), None)
        del self._parts[: len(merged.parts)]
        self.digests[str(merged.name)] = merged.digest
        self.saved_bytes += sum(part.size for part in merged.parts) - merged.size
        self.saved_objects += len(merged.parts) - 1
        self._do("merged segments cannot be removed", lambda: remove(self._store, merged.parts), lambda _: None)
        self._is_merging = False
        self._next_look = float("-inf")

    def _count(self, part: Part, sign: int) -> None:
        self._sum[0] += sign * part.size
        self._sum[1] += sign * _log(part)


def _log(part: Part) -> int:
    return part.name.end_lsn - part.name.start_lsn
