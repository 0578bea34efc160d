"""Decides which segments of a piece are merged, by names, sizes and times alone. Pure.

While a piece is archived, each segment is merged at most once, so that no byte is written more than twice. When the
piece ends, the remaining segments are merged, and small merged objects once more, as long as all bytes written stay
within `BUDGET` times the bytes of the original segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from redoubt.archive.segment import SegmentName

MANY = 64
"""The number of segments that are merged when the first of them is `SPAN` seconds old."""
SPAN = 60.0
STORED_CAP = 16 * 1024 * 1024
"""The most bytes of a merged object, apart from the last part's excess; parts that reach it are merged at once."""
LOG_CAP = 64 * 1024 * 1024
"""The most bytes of log in a merged object."""
NEWEST = 4
"""The number of segments at the end of the piece that are not merged."""
BUDGET = 2.5
_SMALL = STORED_CAP // 4
_HEADER = 400
"""The least size in bytes of a part's header, which merging removes."""


@dataclass(frozen=True)
class Part:
    """An object of a piece: its name, size in bytes, arrival (seconds of the job's clock), SHA-256 if known."""

    name: SegmentName
    size: int
    arrived: float = float("-inf")
    digest: str = ""

    @property
    def room(self) -> tuple[int, int]:
        """The part's share of a merged object: bytes as stored without the part's header, and bytes of log."""
        return max(self.size - _HEADER, 1), self.name.end_lsn - self.name.start_lsn


@dataclass(frozen=True)
class Plan:
    """The plan for the oldest parts: never merge the first `settled` parts; merge `parts`, which follow them."""

    settled: int
    parts: tuple[Part, ...]


def plan_merge(parts: Sequence[Part], now: float) -> Plan:
    """The plan for a piece's unmerged parts, in order, while more parts arrive.

    A run is merged when no part can join it any more (the run is full, or the next part is too large or has another
    codec), or when the run is long and old enough.
    """
    settled = 0
    candidates = parts[: max(len(parts) - NEWEST, 0)]
    for run, is_full in _runs(candidates):
        is_closed = is_full or settled + len(run) < len(candidates)
        is_ripe = len(run) >= MANY and now - run[0].arrived >= SPAN
        if len(run) > 1 and (is_closed or is_ripe):
            return Plan(settled, tuple(run))
        if not is_closed:
            break
        settled += len(run)
    return Plan(settled, ())


def plan_final(objects: Sequence[Part]) -> list[tuple[Part, ...]]:
    """The groups to merge of all objects of a piece that has ended; each group becomes one object.

    The parts of earlier merged objects are gone, but were at least as large as these objects. This bounds the bytes
    that may be written once more.
    """
    fresh = sum(part.size for part in objects if not part.name.is_merged)
    merged = sum(part.size for part in objects if part.name.is_merged)
    allowed = BUDGET * (fresh + merged) - (fresh + 2 * merged)
    groups: list[tuple[Part, ...]] = []
    for again in (False, True):
        for run, _ in _runs(objects, again=again):
            size = sum(part.size for part in run)
            if len(run) > 1 and size <= allowed:
                allowed -= size
                groups.append(tuple(run))
    return groups


def _runs(parts: Iterable[Part], *, again: bool = False) -> Iterator[tuple[list[Part], bool]]:
    """The runs of adjacent parts that fit into one object, and whether each run fills the object.

    With `again`, the runs of small merged objects instead of unmerged ones. A single part is a run too.
    """
    run, stored, log = list[Part](), 0, 0
    for part in parts:
        if part.name.is_merged is not again or (again and part.size >= _SMALL):
            continue
        more_stored, more_log = part.room
        fits = stored + more_stored <= STORED_CAP and log + more_log <= LOG_CAP
        if run and not (fits and _are_neighbours(run[-1].name, part.name)):
            yield run, False
            run, stored, log = [], 0, 0
        run.append(part)
        stored, log = stored + more_stored, log + more_log
    if run:
        yield run, stored >= STORED_CAP or log >= LOG_CAP


def _are_neighbours(one: SegmentName, other: SegmentName) -> bool:
    return one.end_lsn == other.start_lsn and one.suffix == other.suffix
