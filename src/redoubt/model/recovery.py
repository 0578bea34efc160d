"""Which moments can be restored, and from what: data backups, and the log that follows them. Pure.

To restore a moment it takes a base whose snapshot is not after it, and the log of the base's engine without a gap from
the base's start to the moment. Log may go on from one round to the next: where the next one's log begins before the
last one's ends, or just there, nothing is missing. Times are SCNs, in ns since the epoch.

An engine that was set back writes another log at the same LSNs. In one log LSNs and SCNs grow together; what would
break that is another log, and is not followed. A moment that two logs hold is taken from the one that ended first: it
is what the engine wrote at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redoubt.model.bases import Base
from redoubt.model.pieces import PieceKey


@dataclass(frozen=True)
class LogRun:
    """The log of one piece: where it begins and ends (LSNs in bytes, SCNs), and the engine (`source`) that wrote it.

    `start_scn` is that of the last group before it as far as that is known. `cause` says why no log follows it, where
    that is on record.
    """

    key: PieceKey
    source: str
    start_lsn: int
    end_lsn: int
    start_scn: int
    end_scn: int
    cause: str = ""


@dataclass(frozen=True)
class Stretch:
    """The part of a run that a restore takes: LSNs from `start_lsn` to `end_lsn`."""

    run: LogRun
    start_lsn: int
    end_lsn: int


@dataclass(frozen=True)
class Window:
    """Moments that can be restored, from `start_scn` to `end_scn`, both included; `bases` are of use for some of them.

    `cause` says why it ends where it does.
    """

    start_scn: int
    end_scn: int
    bases: tuple[Base, ...]
    cause: str = ""


@dataclass(frozen=True)
class Way:
    """How to come to a moment: a base, and the log to lay over it; each stretch begins where the one before ends.

    The last one holds the moment, or begins with the first group after it.
    """

    base: Base
    stretches: tuple[Stretch, ...]

    @property
    def end_scn(self) -> int:
        """The last moment that this way leads to."""
        return self.stretches[-1].run.end_scn


class NotRecoverableError(Exception):
    """A moment cannot be restored. `before` and `after` are the nearest SCNs that can, None where there is none."""

    def __init__(self, cause: str, before: int | None = None, after: int | None = None) -> None:
        super().__init__(cause)
        self.before = before
        self.after = after


def follow(base: Base, runs: Iterable[LogRun]) -> Way | None:
    """The way to the last moment that a base leads to; None if no log leads from its start to its snapshot."""
    ways = _Ways(base, runs)
    last = max(ways.ends, key=lambda run: (run.end_scn, run.key), default=None)
    return None if last is None else ways.to(last)


def way_to(scn: int | None, bases: Sequence[Base], runs: Sequence[LogRun]) -> Way:
    """The way to a moment, from the latest base that leads there; to the last one there is if `scn` is None.

    Raises NotRecoverableError.
    """
    found = windows(bases, runs)
    if not bases:
        raise NotRecoverableError("there is no data backup: run ALTER SYSTEM BACKUP DATABASE")
    if not found:
        raise NotRecoverableError("no data backup has the log that follows it")
    wanted = found[-1].end_scn if scn is None else scn
    in_time = (base for base in bases if base.snapshot_scn <= wanted)
    for base in sorted(in_time, key=lambda base: (base.snapshot_scn, base.key), reverse=True):
        ways = _Ways(base, runs)
        if holding := [run for run in ways.ends if run.end_scn >= wanted]:
            return ways.to(min(holding, key=lambda run: (run.end_scn, run.key)))
    before = max((window.end_scn for window in found if window.end_scn < wanted), default=None)
    after = min((window.start_scn for window in found if window.start_scn > wanted), default=None)
    raise NotRecoverableError(_why(wanted, found), before, after)


def windows(bases: Iterable[Base], runs: Sequence[LogRun]) -> list[Window]:
    """The moments that can be restored, in order; windows that overlap or touch are one."""
    ways = [way for base in bases if (way := follow(base, runs)) is not None]
    found: list[Window] = []
    for way in sorted(ways, key=lambda way: (way.base.snapshot_scn, way.end_scn)):
        last = found[-1] if found else None
        new = Window(way.base.snapshot_scn, way.end_scn, (way.base,), way.stretches[-1].run.cause)
        if last is None or new.start_scn > last.end_scn:
            found.append(new)
        else:
            longer = new if new.end_scn > last.end_scn else last
            found[-1] = Window(last.start_scn, longer.end_scn, (*last.bases, way.base), longer.cause)
    return found


class _Ways:
    """The ways that begin with a base: one to the end of each run that can be reached without a gap."""

    def __init__(self, base: Base, runs: Iterable[LogRun]) -> None:
        self._base = base
        self._before: dict[LogRun, LogRun | None] = {}
        """The runs that are reached, in the order of their ends, each with the one that leads to it."""
        for run in sorted(filter(self._fits, runs), key=lambda run: (run.end_lsn, run.key)):
            if run.start_lsn <= base.start_lsn:
                self._before[run] = None
            elif before := self._leading_to(run):
                self._before[run] = before[-1]

    @property
    def ends(self) -> list[LogRun]:
        """The runs that are reached and reach the base's snapshot: a way may end with each."""
        return [run for run in self._before if run.end_lsn >= self._base.snapshot_lsn]

    def to(self, last: LogRun) -> Way:
        """The way to the end of a run."""
        taken: list[LogRun] = [last]
        while (before := self._before[taken[-1]]) is not None:
            taken.append(before)
        lsn, stretches = self._base.start_lsn, list[Stretch]()
        for run in reversed(taken):
            stretches.append(Stretch(run, lsn, run.end_lsn))
            lsn = run.end_lsn
        return Way(self._base, tuple(stretches))

    def _fits(self, run: LogRun) -> bool:
        """Whether it can be log of the base's engine that matters to the base."""
        if run.source != self._base.source or run.end_lsn <= self._base.start_lsn:
            return False
        reaches = run.end_lsn >= self._base.snapshot_lsn
        return run.end_scn >= self._base.snapshot_scn if reaches else run.end_scn <= self._base.snapshot_scn

    def _leading_to(self, run: LogRun) -> list[LogRun]:
        """The runs that end where a run goes on, the one that goes furthest in time last."""
        leading = []
        for each in reversed(self._before):
            if each.end_lsn < run.start_lsn:
                break
            if each.end_lsn < run.end_lsn and each.end_scn < run.end_scn:
                leading.append(each)
        return sorted(leading, key=lambda each: (each.end_scn, each.key))


def _why(scn: int, found: list[Window]) -> str:
    if scn < found[0].start_scn:
        return "the moment is before the first data backup"
    if scn > found[-1].end_scn:
        return "the moment is after the end of the archived log"
    gap = next(window for window in reversed(found) if window.end_scn < scn)
    return f"log is missing at that moment{f' ({gap.cause})' if gap.cause else ''}"
