"""A tenant's round as the worker's work: open it in the destination, archive, drain, end.

Everything that may wait for the destination runs on the two executors; `step` itself never waits. The job knows the
seams only, so that the same code runs against engines and against a simulation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from redoubt.archive.archiver import Archiver, RoundOf, SealRule
from redoubt.archive.layout import INCARNATION, ClusterPath, RoundInfo
from redoubt.archive.messages import ArchiveRound, Event, RoundBroken, RoundStopped
from redoubt.archive.news import News
from redoubt.archive.shipper import SMALL, Shipper
from redoubt.archive.store import ArchiveEnd, ArchiveError, RoundStore
from redoubt.model.log import LogError
from redoubt.model.seams import Destination, DestinationError, LogReader

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Means:
    """What a job works with. `storer` must run one job at a time; `notify` is called when waiting work is done.

    `small`: see `Shipper`.
    """

    encoders: Executor
    storer: Executor
    clock: Callable[[], float]
    notify: Callable[[], None]
    codec: Callable[[], str]
    seal: SealRule
    small: int = SMALL


class RoundJob:
    """One `ArchiveRound` command being carried out."""

    def __init__(self, task: ArchiveRound, reader: LogReader, destination: Destination, means: Means) -> None:
        self.task = task
        self.ended = False
        self._reader = reader
        self._means = means
        self._store = RoundStore(
            destination, ClusterPath(task.cluster, task.cluster_id).round(task.tenant_id, task.round)
        )
        self._give_up = threading.Event()
        self._stop_by: float | None = None
        self._trouble = ""
        self._news = News(task.tenant_id, task.round, means.clock)
        self._flush_asked = 0
        self._archiver: Archiver | None = None
        self._opening: Future[ArchiveEnd] = means.storer.submit(self._open)
        self._opening.add_done_callback(lambda _: means.notify())

    def stop(self, patience: float) -> None:
        """Archive what the log holds now and end; after `patience` seconds, end with what is durable by then."""
        self._stop_by = self._means.clock() + patience

    def flush(self, number: int) -> None:
        """Make durable what the log holds now, then tell `Flushed`."""
        self._flush_asked = max(self._flush_asked, number)
        if self._archiver is not None:
            self._archiver.flush(number)

    def abandon(self) -> None:
        """Let go of everything; what is durable is so already."""
        self._give_up.set()
        self._reader.close()
        self.ended = True

    def step(self) -> tuple[bool, list[Event]]:
        """Do what can be done now: whether there is probably more to do at once, and what there is to tell."""
        try:
            more = self._advance()
        except (LogError, ArchiveError) as error:
            self.abandon()
            events = [*self._tell(at_once=True), RoundBroken(self.task.tenant_id, self.task.round, str(error))]
            return False, events
        except OSError as error:
            more, self._trouble = False, f"the engine's log cannot be read: {error}"
        else:
            self._trouble = self._archiver.trouble if self._archiver else self._trouble
        if (stopped := self._try_to_stop()) is None:
            return more, self._tell()
        return False, [*self._tell(at_once=True), stopped]

    def _advance(self) -> bool:
        if self._archiver is None:
            if not self._opening.done():
                return False
            self._archiver = self._start(self._opening.result())
        return self._archiver.step(draining=self._stop_by is not None)

    def _try_to_stop(self) -> RoundStopped | None:
        """End if that was asked for and everything is durable, or if the time for it is over."""
        if self._stop_by is None:
            return None
        drained = self._archiver is not None and self._archiver.is_drained()
        late = self._means.clock() >= self._stop_by
        if not drained and not late:
            return None
        self.abandon()
        text = "" if drained else self._trouble or "the destination did not answer in time"
        return RoundStopped(self.task.tenant_id, self.task.round, text)

    def _tell(self, *, at_once: bool = False) -> list[Event]:
        """What there is to tell; `at_once`, also what was told a moment ago."""
        news, archiver = self._news, self._archiver
        return [
            *(news.progress(archiver.end, at_once=at_once) if archiver else []),
            *(news.flushed(archiver.flushed) if archiver else []),
            *news.trouble(self._trouble),
        ]

    def _start(self, resumed: ArchiveEnd) -> Archiver:
        task, means = self.task, self._means
        of = RoundOf(task.cluster, task.cluster_id, INCARNATION, task.tenant_id, task.round, task.piece, task.source)
        shipper = Shipper(self._store, means.encoders, means.storer, self._pause, means.notify, means.small)
        archiver = Archiver(of, self._reader, shipper, resumed, means.codec, means.seal, means.clock)
        archiver.flush(self._flush_asked)
        return archiver

    def _open(self) -> ArchiveEnd:
        """Claim the round, or find it claimed, and see where it ends; on the storer, tried for as long as needed."""
        task, seconds = self.task, _FIRST_PAUSE
        while True:
            try:
                if task.start_lsn is None:
                    info = self._store.claimed(task.identity, task.source)
                else:
                    info = self._store.claim(_round_info(task, task.start_lsn))
                end = self._store.resume(info)
            except DestinationError as error:
                self._trouble = str(error)
                if not self._pause(seconds):
                    raise
                seconds = min(seconds * 2, _LONGEST_PAUSE)
            else:
                self._trouble = ""
                return end

    def _pause(self, seconds: float) -> bool:
        self._means.notify()
        return not self._give_up.wait(seconds)


def _round_info(task: ArchiveRound, start_lsn: int) -> RoundInfo:
    return RoundInfo(
        identity=task.identity,
        tenant_id=task.tenant_id,
        tenant=task.tenant,
        source=task.source,
        round=task.round,
        piece=task.piece,
        start_lsn=start_lsn,
        start_scn=task.start_scn,
    )
