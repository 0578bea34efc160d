"""Lays the log of a plan: read, checked link by link, written through the engine's own layer."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Protocol

from redoubt.archive.reading import Run, walk
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import LogCutter, LogLayer
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.restore.ahead import made_ahead
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
    with made_ahead(_runs(plan, start.lsn)) as runs:
        for part, run, log in runs:
            end, fitting = _checked(part, run, log, at, plan.end, cutter)
            layer.lay(at.lsn, fitting, at.scn)
            done(len(fitting))
            at = end
            if at.lsn - synced >= _SYNC_EVERY:
                layer.sync()
                durable(at)
                synced = at.lsn
    if (at.lsn, at.chain) != (plan.end.lsn, plan.end.chain):
        raise ArchiveError(f"the log ends at LSN {at.lsn}, not at {plan.end.lsn} as planned: plan again")
    layer.finish(plan.end)


def _runs(plan: Track, lsn: int) -> Iterator[tuple[LogPart, Run, bytes]]:
    """The plan's log from `lsn` on, a segment at a time; it is what was stored, whether it fits is not checked here."""
    for part in plan.parts:
        if part.end_lsn <= lsn:
            continue
        for run in walk(part.store, lsn):
            log = io.BytesIO()  # unlike parts that are joined, it never holds the log twice
            log.writelines(run.chunks)
            yield part, run, log.getvalue()
            lsn = run.header.end_lsn
            if lsn >= part.end_lsn:
                break


def _checked(
    part: LogPart, run: Run, log: bytes, at: LogPosition, end: LogPosition, cutter: LogCutter
) -> tuple[LogPosition, bytes]:
    """A run's log up to `end` at most, which continues the log that ends at `at`."""
    header = run.header
    is_whole = run.start_lsn == header.start_lsn == at.lsn and header.end_lsn <= end.lsn
    if is_whole and (at.chain is None or at.chain == header.chain_before):
        return header.end, log
    # It begins or ends inside the segment, or its beginning is not known: then its groups say whether it fits.
    scn = end.scn if header.end_lsn > end.lsn else NEWEST
    try:
        reached = cutter.cut(log, at, scn)
    except LogDamagedError as error:
        raise ArchiveError(f"{part.store.path.folder} is damaged, or of another history: {error}") from error
    return reached, log[: reached.lsn - at.lsn]
