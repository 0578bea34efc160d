"""Which moments can be restored, and from what: data backups, and the log that follows them. Pure.

To restore a moment it takes a base whose snapshot is not after it, and the log of the base's engine without a gap from
the base's start to the moment. Log may go on from one round to the next: where the next one's log begins before the
last one's ends, or just there, nothing is missing. Times are SCNs, in ns since the epoch.
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
    """How to come to a moment: a base, and the log to lay over it, in order. The last stretch holds the moment."""

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
    """The longest way that begins with a base; None if the log does not reach from its start to its snapshot."""
    mine = sorted((run for run in runs if run.source == base.source), key=lambda run: (run.start_lsn, run.key))
    lsn, stretches = base.start_lsn, list[Stretch]()
    while (best := _furthest(mine, lsn)) is not None:
        stretches.append(Stretch(best, lsn, best.end_lsn))
        lsn = best.end_lsn
    if not stretches or lsn < base.snapshot_lsn:
        return None
    return Way(base, tuple(stretches))


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
    ways = [way for base in bases if (way := follow(base, runs)) and base.snapshot_scn <= wanted <= way.end_scn]
    if not ways:
        before = max((window.end_scn for window in found if window.end_scn < wanted), default=None)
        after = min((window.start_scn for window in found if window.start_scn > wanted), default=None)
        raise NotRecoverableError(_why(wanted, found), before, after)
    return max(ways, key=lambda way: (way.base.snapshot_scn, way.base.key))


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


def _furthest(runs: list[LogRun], lsn: int) -> LogRun | None:
    """The run that holds the log at `lsn` and reaches furthest; the earliest round of several that reach as far."""
    holding = [run for run in runs if run.start_lsn <= lsn < run.end_lsn]
    return max(holding, key=lambda run: (run.end_lsn, -run.key.round), default=None)


def _why(scn: int, found: list[Window]) -> str:
    if scn < found[0].start_scn:
        return "it is before the first data backup"
    if scn > found[-1].end_scn:
        return "it is after the end of the archived log"
    gap = next(window for window in reversed(found) if window.end_scn < scn)
    return f"log is missing there{f' ({gap.cause})' if gap.cause else ''}"
