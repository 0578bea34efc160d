"""Lays the log of a plan: reads the log, checks each link, and writes through the engine's own layer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from redoubt.archive.reading import Run, walk
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import LogCutter, LogLayer
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.restore.planning import NEWEST, LogPart

_SYNC_EVERY = 64 * 1024 * 1024
"""Bytes of log after which the laid log is made durable, while more log is laid."""


class Track(Protocol):
    """Log to lay: parts in order, and the end of the log. A plan is a track."""

    @property
    def parts(self) -> tuple[LogPart, ...]:
        """The parts of the log."""
        ...

    @property
    def end(self) -> LogPosition:
        """The end of the log."""
        ...


def lay_log(
    plan: Track,
    layer: LogLayer,
    cutter: LogCutter,
    start: LogPosition,
    durable: Callable[[LogPosition], None],
    done: Callable[[int], None],
    at_once: int = 1,
) -> None:
    """Lay the plan's log from `start` on, to its end.

    `at_once` is the number of runs laid at a time. With one, the log in the directory never has a hole; with more, a
    kill may leave holes. `durable` is called from time to time with the position up to which the log is durable, `done`
    with the number of bytes laid since the last call. Raises ArchiveError if the log does not fit the plan,
    DestinationError, OSError.
    """
    at = start
    with ThreadPoolExecutor(at_once, "lay") as laying, ThreadPoolExecutor(1, "sync-log") as syncing:
        belt = _Belt(laying, syncing, at_once, layer, start, durable, done)
        try:
            for part, run in _runs(plan, start.lsn):
                end, fitting = _checked(part, run, at, plan.end, cutter)
                belt.lay(at, fitting, end)
                at = end
        finally:
            belt.finish()
    if (at.lsn, at.chain) != (plan.end.lsn, plan.end.chain):
        raise ArchiveError(
            f"the log ends at LSN {at.lsn}, but the plan ends at LSN {plan.end.lsn}: run the restore again"
        )
    layer.finish(plan.end)


class _Belt:
    """Lays runs in threads, and makes them durable meanwhile; reports both in order. Every method raises errors."""

    def __init__(
        self,
        laying: ThreadPoolExecutor,
        syncing: ThreadPoolExecutor,
        at_once: int,
        layer: LogLayer,
        start: LogPosition,
        durable: Callable[[LogPosition], None],
        done: Callable[[int], None],
    ) -> None:
        self._laying = laying
        self._syncing = syncing
        self._at_once = at_once
        self._layer = layer
        self._durable = durable
        self._done = done
        self._coming = deque[tuple[Future[None], LogPosition]]()
        self._laid = self._synced = start
        self._sync: Future[None] | None = None

    def lay(self, at: LogPosition, log: Iterator[bytes], end: LogPosition) -> None:
        """Lay the log from `at` to `end` in a thread."""
        while len(self._coming) > self._at_once:  # one run waits, so that no thread does
            self._await_laid()
        self._coming.append((self._laying.submit(self._layer.lay, at.lsn, log, at.scn), end))

    def finish(self) -> None:
        """Wait until all runs are laid."""
        while self._coming:
            self._await_laid()
        self._await_synced()

    def _await_laid(self) -> None:
        future, end = self._coming.popleft()
        if (error := future.exception()) is not None:
            self._coming.clear()  # log behind a hole does not count
            if isinstance(error, LogDamagedError):
                raise ArchiveError(f"the archive is damaged before LSN {end.lsn}: {error}") from error
            raise error
        self._done(end.lsn - self._laid.lsn)
        self._laid = end
        if end.lsn - self._synced.lsn >= _SYNC_EVERY:
            self._await_synced()
            self._sync, self._synced = self._syncing.submit(self._layer.sync), end

    def _await_synced(self) -> None:
        if self._sync is not None:
            self._sync.result()
            self._sync = None
            self._durable(self._synced)


def _runs(plan: Track, lsn: int) -> Iterator[tuple[LogPart, Run]]:
    """The plan's log from `lsn` on, a segment at a time. Checks stored bytes, but not whether the log continues."""
    for part in plan.parts:
        if part.end_lsn <= lsn:
            continue
        for run in walk(part.store, lsn):
            yield part, run
            lsn = run.header.end_lsn
            if lsn >= part.end_lsn:
                break


def _checked(
    part: LogPart, run: Run, at: LogPosition, end: LogPosition, cutter: LogCutter
) -> tuple[LogPosition, Iterator[bytes]]:
    """A run's log up to `end` at most, checked to continue the log that ends at `at`."""
    header = run.header
    is_whole = run.start_lsn == header.start_lsn == at.lsn and header.end_lsn <= end.lsn
    if is_whole and (at.chain is None or at.chain == header.chain_before):
        return header.end, run.chunks
    # The log begins or ends inside the segment, or its start is unknown: verify its groups.
    log = b"".join(run.chunks)
    scn = end.scn if header.end_lsn > end.lsn else NEWEST
    try:
        reached = cutter.cut(log, at, scn)
    except LogDamagedError as error:
        raise ArchiveError(f"{part.store.path.folder} is damaged or belongs to another history: {error}") from error
    return reached, iter([log[: reached.lsn - at.lsn]])
