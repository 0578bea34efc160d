"""Lays the log of a plan: read, checked link by link, written through the engine's own layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from redoubt.archive.reading import Run, walk
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import LogCutter, LogLayer
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.restore.planning import NEWEST, LogPart

_SYNC_EVERY = 256 * 1024 * 1024


class Track(Protocol):
    """Log to lay: parts in order, and the place where it ends. A plan is one."""

    @property
    def parts(self) -> tuple[LogPart, ...]:
        """Where the log is."""
        ...

    @property
    def end(self) -> LogPosition:
        """Where it ends."""
        ...


def lay_log(
    plan: Track,
    layer: LogLayer,
    cutter: LogCutter,
    start: LogPosition,
    durable: Callable[[LogPosition], None],
    done: Callable[[int], None],
) -> None:
    """Lay the plan's log from `start` on, to its end.

    `durable` is told from time to time up to where it is; `done` of bytes that were laid. Raises ArchiveError for what
    is not what the plan was made for, DestinationError, OSError.
    """
    at, synced = start, start.lsn
    for position, log in _log(plan, cutter, start):
        layer.lay(at.lsn, log, at.scn)
        done(len(log))
        at = position
        if at.lsn - synced >= _SYNC_EVERY:
            layer.sync()
            durable(at)
            synced = at.lsn
    if (at.lsn, at.chain) != (plan.end.lsn, plan.end.chain):
        raise ArchiveError(f"the log ends at LSN {at.lsn}, not at {plan.end.lsn} as planned: plan again")
    layer.finish(plan.end)


def _log(plan: Track, cutter: LogCutter, start: LogPosition) -> Iterator[tuple[LogPosition, bytes]]:
    """The log from `start` to the plan's end, in runs of whole groups, each with the place where it ends."""
    at = start
    for part in plan.parts:
        if part.end_lsn <= at.lsn:
            continue
        for run in walk(part.store, at.lsn):
            end, log = _checked(part, run, at, plan.end, cutter)
            yield end, log
            at = end
            if at.lsn >= part.end_lsn:
                break


def _checked(
    part: LogPart, run: Run, at: LogPosition, end: LogPosition, cutter: LogCutter
) -> tuple[LogPosition, bytes]:
    """A run's log up to `end` at most, which continues the log that ends at `at`."""
    header, log = run.header, b"".join(run.chunks)
    is_whole = run.start_lsn == header.start_lsn and header.end_lsn <= end.lsn
    if is_whole and (at.chain is None or at.chain == header.chain_before):
        return header.end, log
    # It begins or ends inside the segment, or its beginning is not known: then its groups say whether it fits.
    scn = end.scn if header.end_lsn > end.lsn else NEWEST
    try:
        reached = cutter.cut(log, at, scn)
    except LogDamagedError as error:
        raise ArchiveError(f"{part.store.path.folder}: {error}") from error
    return reached, log[: reached.lsn - at.lsn]
