"""Which segments of a round become one: decided by names, sizes and times alone. Pure.

While a round is archived each segment is merged once at most, so that no byte is written more than twice. When it ends,
what is left is merged, and small merged objects once more, as far as all writing stays within `BUDGET` times the bytes
of the segments as they were first stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from redoubt.archive.segment import SegmentName

MANY = 64
"""Segments that are merged when the first of them is `SPAN` seconds old."""
SPAN = 60.0
STORED_CAP = 16 * 1024 * 1024
"""Bytes that a merged object has at most, the last part's excess aside; reached, its parts are merged at once."""
LOG_CAP = 64 * 1024 * 1024
"""Bytes of log that a merged object has at most."""
NEWEST = 4
"""Segments at the end of the round that are left alone."""
BUDGET = 2.5
_SMALL = STORED_CAP // 4
_HEADER = 400
"""Bytes that a part's own header takes at least, which a merged object does not have."""


@dataclass(frozen=True)
class Part:
    """An object of a round: its name, its size in bytes, and when it came (seconds of the job's clock)."""

    name: SegmentName
    size: int
    arrived: float = float("-inf")


@dataclass(frozen=True)
class Plan:
    """What to do with the oldest parts: pass over `settled` of them for good, then merge `parts`, if there are any."""

    settled: int
    parts: tuple[Part, ...]


class _Sum:
    """How large the object would be that some parts are merged into."""

    def __init__(self) -> None:
        self.stored = self.log = 0

    def has_room_for(self, part: Part) -> bool:
        """Whether it would stay within the caps. Any single part fits."""
        stored, log = _sizes(part)
        return not self.stored or (self.stored + stored <= STORED_CAP and self.log + log <= LOG_CAP)

    def add(self, part: Part) -> None:
        """Have one more."""
        stored, log = _sizes(part)
        self.stored, self.log = self.stored + stored, self.log + log

    def is_full(self) -> bool:
        """Whether nothing more of any use fits."""
        return self.stored >= STORED_CAP or self.log >= LOG_CAP


def plan_merge(parts: Sequence[Part], now: float) -> Plan:
    """What to merge of a round's parts that have never been merged, in order, while more of them come.

    A run is merged when nothing more can join it (it is full, or the next is too large or of another codec), or when it
    is long and old enough.
    """
    settled = 0
    candidates = parts[: max(len(parts) - NEWEST, 0)]
    for run in _runs(candidates):
        is_last = settled + len(run) == len(candidates)
        if len(run) > 1 and (not is_last or _is_full(run) or (len(run) >= MANY and now - run[0].arrived >= SPAN)):
            return Plan(settled, tuple(run))
        if is_last and not _is_full(run):
            break
        settled += len(run)
    return Plan(settled, ())


def plan_final(objects: Sequence[Part]) -> list[tuple[Part, ...]]:
    """What to merge of all of a round's objects when it has ended: each group becomes one object.

    The parts of what was merged before are gone. They were at least as large as it is, which bounds what may be
    written once more.
    """
    fresh = sum(part.size for part in objects if not part.name.is_merged)
    merged = sum(part.size for part in objects if part.name.is_merged)
    allowed = BUDGET * (fresh + merged) - (fresh + 2 * merged)
    groups: list[tuple[Part, ...]] = []
    for again in (False, True):
        for run in _runs(objects, again=again):
            size = sum(part.size for part in run)
            if len(run) > 1 and size <= allowed:
                allowed -= size
                groups.append(tuple(run))
    return groups


def _runs(parts: Iterable[Part], *, again: bool = False) -> Iterator[list[Part]]:
    """The runs of neighbours that fit into one object; with `again`, of small merged objects instead of fresh ones."""
    run, total = list[Part](), _Sum()
    for part in parts:
        if part.name.is_merged is not again or (again and part.size >= _SMALL):
            continue
        if run and not (_are_neighbours(run[-1].name, part.name) and total.has_room_for(part)):
            yield run
            run, total = [], _Sum()
        run.append(part)
        total.add(part)
    if run:
        yield run


def _are_neighbours(one: SegmentName, other: SegmentName) -> bool:
    return one.end_lsn == other.start_lsn and one.suffix == other.suffix


def _is_full(run: list[Part]) -> bool:
    total = _Sum()
    for part in run:
        total.add(part)
    return total.is_full()


def _sizes(part: Part) -> tuple[int, int]:
    return max(part.size - _HEADER, 1), part.name.end_lsn - part.name.start_lsn
