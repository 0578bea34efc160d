"""Interprets a listing of a piece's folder: which objects hold the log, and which do not count. Pure.

A merged object is stored before its parts are removed. If both are present, the parts are ignored.

In an object store, a writer has a lease and not a lock. A former writer's request may be carried out after the next
writer has begun: it was under way, or the writer was paused. So a writer that begins notes where, in a `Takeover`, and
the names of its objects have the epoch of its lease. The log before that LSN is by earlier writers, the log from there
on by this one. What an earlier writer stored beyond is `void`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from redoubt.archive.layout import takeover_in
from redoubt.archive.segment import SegmentName
from redoubt.model.seams import ObjectInfo


class HoleError(Exception):
    """Two objects do not follow each other; the text names them."""


@dataclass(frozen=True)
class Listed:
    """A segment's name, and its object's size in bytes."""

    name: SegmentName
    size: int


@dataclass(frozen=True)
class Listing:
    """`objects` hold the log in order. The log of `covered` is also in merged objects, so they may be removed.

    `void` are former writers': no log of the piece. `takeovers`: epoch and LSN of each.
    """

    objects: tuple[Listed, ...]
    covered: tuple[Listed, ...] = ()
    void: tuple[Listed, ...] = ()
    takeovers: tuple[tuple[int, int], ...] = ()

    @property
    def epoch(self) -> int:
        """The highest epoch of the writers that are seen; 0 without one."""
        names = (each.name for each in (*self.objects, *self.covered, *self.void))
        return max([*(name.epoch for name in names), *(epoch for epoch, _ in self.takeovers)], default=0)

    def has_void(self, names: Iterable[SegmentName]) -> bool:
        """Whether some of the segments of these names are void, or would be if they were still there."""
        wanted = set(names)
        there = (each.name for each in (*self.objects, *self.covered, *self.void))
        return not wanted.isdisjoint(void_names(wanted.union(there), self.takeovers))


def segments_in_order(entries: Iterable[ObjectInfo]) -> Listing:
    """The segments in a folder's entries; ignores other names. Raises HoleError at a hole or an overlap."""
    found, takeovers = list[Listed](), list[tuple[int, int]]()
    for entry in entries:
        base = entry.name.rpartition("/")[2]
        if name := SegmentName.parse(base):
            found.append(Listed(name, entry.size))
        elif takeover := takeover_in(base):
            takeovers.append(takeover)
    void = void_names([each.name for each in found], takeovers)
    objects: list[Listed] = []
    covered: list[Listed] = []
    for each in sorted(found, key=lambda each: (each.name.start_lsn, -each.name.end_lsn, not each.name.is_merged)):
        last = objects[-1].name if objects else None
        if each.name in void:
            continue
        if last is None or each.name.start_lsn == last.end_lsn:
            objects.append(each)
        elif last.is_merged and each.name.end_lsn <= last.end_lsn:
            covered.append(each)
        else:
            raise HoleError(f"{each.name} does not follow {last}: log between them is missing or double")
    out = tuple(each for each in found if each.name in void)
    return Listing(tuple(objects), tuple(covered), out, tuple(takeovers))


def void_names(names: Iterable[SegmentName], takeovers: Iterable[tuple[int, int]]) -> set[SegmentName]:
    """The segments of former writers that are no log of the piece; `takeovers`: epoch and LSN of each.

    Goes from the last writer back to the first. Each one began where the log ended that it found. If the log that it
    found is by an earlier writer than the next lower one, the latter's objects were not there yet, and are void.
    """
    by_epoch: dict[int, list[SegmentName]] = {}
    for name in names:
        by_epoch.setdefault(name.epoch, []).append(name)
    begun: dict[int, int] = {}
    for epoch, lsn in takeovers:
        begun[epoch] = min(lsn, begun.get(epoch, lsn))
    if not begun and by_epoch.keys() <= {0}:
        return set()
    ends = Counter(name.end_lsn for of_epoch in by_epoch.values() for name in of_epoch)
    void: set[SegmentName] = set()
    limit: int | None = None
    for epoch in sorted(by_epoch.keys() | begun.keys(), reverse=True):
        own = by_epoch.get(epoch, [])
        ends.subtract(name.end_lsn for name in own)
        if limit is not None:
            void.update(name for name in own if name.end_lsn > limit)
            own = [name for name in own if name.end_lsn <= limit]
            is_continued = any(name.end_lsn == limit for name in own)
            if not is_continued and (not own or ends[limit] > 0):
                void.update(own)
                continue
        starts = [name.start_lsn for name in own] + ([begun[epoch]] if epoch in begun else [])
        limit = min(starts)
    return void
