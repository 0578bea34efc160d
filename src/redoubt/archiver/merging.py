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
    """An object of a round: its name, size in bytes, when it came (seconds of the job's clock), SHA-256 if known."""

    name: SegmentName
    size: int
    arrived: float = float("-inf")
    digest: str = ""

    @property
    def room(self) -> tuple[int, int]:
        """What it takes up of a merged object: bytes as stored, without a header of its own, and bytes of log."""
        return max(self.size - _HEADER, 1), self.name.end_lsn - self.name.start_lsn


@dataclass(frozen=True)
class Plan:
    """What to do with the oldest parts: pass over `settled` of them for good, then merge `parts`, if there are any."""

    settled: int
    parts: tuple[Part, ...]


def plan_merge(parts: Sequence[Part], now: float) -> Plan:
    """What to merge of a round's parts that have never been merged, in order, while more of them come.

    A run is merged when nothing more can join it (it is full, or the next is too large or of another codec), or when it
    is long and old enough.
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
    """What to merge of all of a round's objects when it has ended: each group becomes one object.

    The parts of what was merged before are gone. They were at least as large as it is, which bounds what may be
    written once more.
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
    """The runs of neighbours that fit into one object, and whether they fill it.

    With `again`, of small merged objects instead of fresh ones. Any single part is a run.
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
