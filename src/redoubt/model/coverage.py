"""What a tenant's backups cover: windows, the gaps between them with causes, and log that no base leads to.

Pure. Moments are SCNs, in ns since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from redoubt.model.bases import Base
from redoubt.model.damage import Span, difference, spans
from redoubt.model.recovery import LogRun, Window, windows

ENDLESS = 2**63 - 1
"""An SCN greater than every other."""
_NO_BASE = "log is archived, but no data backup leads to it"
_UNKNOWN = "no log is archived, and the cause is unknown"


@dataclass(frozen=True)
class Obstacle:
    """A recorded cause of missing log between two moments: a hole, a deletion, an interruption.

    `end_scn` is ENDLESS if only the start is known.
    """

    start_scn: int
    end_scn: int
    cause: str


@dataclass(frozen=True)
class Gap:
    """The moments between two windows; neither end is in a window."""

    start_scn: int
    end_scn: int
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """The coverage of a tenant. `log_end_scn` is the end of the log, 0 without log.

    `is_live`: log is being archived now; otherwise `ending` says why not. `unreached` is log without a base.
    """

    windows: tuple[Window, ...]
    gaps: tuple[Gap, ...]
    unreached: tuple[Span, ...]
    log_end_scn: int
    is_live: bool
    ending: str


def coverage(
    bases: Sequence[Base], runs: Sequence[LogRun], obstacles: Sequence[Obstacle], *, is_live: bool
) -> Coverage:
    """The coverage of data backups and log, with the recorded causes of gaps."""
    found = windows(bases, runs)
    logs = _merged([Span(run.start_scn, run.end_scn) for run in runs])
    gaps = []
    bare = difference(logs, spans(found))
    for before, after in pairwise(found):
        causes = [each.cause for each in obstacles if _explains(each, before.end_scn, after.start_scn)]
        if any(_overlap(span, before.end_scn, after.start_scn) for span in bare):
            causes.append(_NO_BASE)
        causes = causes or ([before.cause] if before.cause else [_UNKNOWN])
        gaps.append(Gap(before.end_scn, after.start_scn, tuple(dict.fromkeys(causes))))
    end = max((run.end_scn for run in runs), default=0)
    ending = next((each.cause for each in reversed(obstacles) if each.end_scn == ENDLESS and each.start_scn >= end), "")
    return Coverage(tuple(found), tuple(gaps), tuple(bare), end, is_live, "" if is_live else ending)


def missing(now: Coverage, at: int, length: int, lag: int) -> list[str]:
    """Why the last `length` ns before `at` are not one window, in sentences; empty if they are one.

    The window must reach to within `lag` ns of `at`.
    """
    since = at - length
    if not now.windows:
        return ["nothing can be restored: no data backup has the log that follows it"]
    last, lacks = now.windows[-1], []
    if last.end_scn < at - lag:
        why = now.ending or last.cause or ("the archive is behind" if now.is_live else "log is not being archived")
        lacks.append(f"the newest restorable moment is {_seconds(at - last.end_scn)} ago: {why}")
    holes = [gap for gap in now.gaps if gap.end_scn > since]
    lacks += [f"a hole of {_seconds(gap.end_scn - gap.start_scn)}: {'; '.join(gap.causes)}" for gap in holes]
    if not holes and last.start_scn > since:
        lacks.append(f"the oldest restorable moment is {_seconds(at - last.start_scn)} ago: no older data backup")
    return lacks


def _explains(each: Obstacle, start: int, end: int) -> bool:
    return start <= each.start_scn < end if each.end_scn == ENDLESS else _overlap(each, start, end)


def _overlap(each: Obstacle | Span, start: int, end: int) -> bool:
    return each.start_scn < end and each.end_scn > start


def _merged(found: list[Span]) -> list[Span]:
    """The same moments in order, without overlaps."""
    merged: list[Span] = []
    for span in sorted(found, key=lambda span: (span.start_scn, span.end_scn)):
        if merged and span.start_scn <= merged[-1].end_scn:
            merged[-1] = Span(merged[-1].start_scn, max(merged[-1].end_scn, span.end_scn))
        else:
            merged.append(span)
    return merged


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:,.1f} s"
