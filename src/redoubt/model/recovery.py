"""Which moments can be restored, from which data backups and log. Pure.

A restore to a moment needs a base whose snapshot is not after the moment, and the log of the base's engine without a
gap from the base's start to the moment. Log may continue from one round to the next: if the next round's log begins at
or before the end of the last round's log, no log is missing. Times are SCNs, in ns since the epoch.

An engine that was set back to an earlier state writes a different log at the same LSNs. Within one log, LSNs and SCNs
grow together; a run that would break this order belongs to a different log, and is not followed. If two logs hold a
moment, the log that ended first is taken: the engine wrote that log at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redoubt.errors import RedoubtError
from redoubt.model.bases import Base
from redoubt.model.pieces import PieceKey


@dataclass(frozen=True)
class LogRun:
    """The log of one piece: its start and end (LSNs in bytes, SCNs), and the engine (`source`) that wrote the log.

    `start_scn` is the SCN of the last group before the run, if known. `cause` is the recorded reason why no log
    follows.
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
    """Restorable moments, from `start_scn` to `end_scn`, both included. Each of `bases` serves some of the moments.

    `cause` says why the window ends.
    """

    start_scn: int
    end_scn: int
    bases: tuple[Base, ...]
    cause: str = ""


@dataclass(frozen=True)
class Way:
    """The way to a moment: a base, and the log to lay over the base. Each stretch begins at the end of the one before.

    The last stretch holds the moment, or begins with the first group after the moment.
    """

    base: Base
    stretches: tuple[Stretch, ...]

    @property
    def end_scn(self) -> int:
        """The last moment that this way leads to."""
        return self.stretches[-1].run.end_scn


class NotRecoverableError(RedoubtError):
    """A moment cannot be restored. `before` and `after` are the nearest restorable SCNs, None without one."""

    def __init__(self, cause: str, before: int | None = None, after: int | None = None) -> None:
        super().__init__(cause)
        self.before = before
        self.after = after


def follow(base: Base, runs: Iterable[LogRun]) -> Way | None:
    """The way to the last moment that a base leads to; None if the log from its start to its snapshot is missing."""
    ways = _Ways(base, runs)
    last = max(ways.ends, key=lambda run: (run.end_scn, run.key), default=None)
    return None if last is None else ways.to(last)


def way_to(scn: int | None, bases: Sequence[Base], runs: Sequence[LogRun]) -> Way:
    """The way to a moment from the latest possible base; to the newest restorable moment if `scn` is None.

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
    """The restorable moments in order; windows that overlap or touch are joined."""
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
    """The ways from a base: one to the end of each run that is reached without a gap."""

    def __init__(self, base: Base, runs: Iterable[LogRun]) -> None:
        self._base = base
        self._before: dict[LogRun, LogRun | None] = {}
        """The runs that are reached, ordered by their ends, each with its predecessor."""
        for run in sorted(filter(self._fits, runs), key=lambda run: (run.end_lsn, run.key)):
            if run.start_lsn <= base.start_lsn:
                self._before[run] = None
            elif before := self._leading_to(run):
                self._before[run] = before[-1]

    @property
    def ends(self) -> list[LogRun]:
        """The reached runs that extend to the base's snapshot. A way may end with any of them."""
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
        """Whether the run can be log of the base's engine after the base's start."""
        if run.source != self._base.source or run.end_lsn <= self._base.start_lsn:
            return False
        reaches = run.end_lsn >= self._base.snapshot_lsn
        return run.end_scn >= self._base.snapshot_scn if reaches else run.end_scn <= self._base.snapshot_scn

    def _leading_to(self, run: LogRun) -> list[LogRun]:
        """The possible predecessors of a run; the one that reaches furthest in time is last."""
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
