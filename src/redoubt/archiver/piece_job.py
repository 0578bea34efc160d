"""The worker's job for one piece of a tenant's round: open the piece, archive, drain, freeze, end.

    OPENING ──► ARCHIVING ──stopped, drained──► FREEZING ──► ended
       │            └───────cut, drained───────────┤
       └──────► ENDED_BEFORE ──stopped or cut──────┘

A piece is cut when its log has reached the start of the next piece. A piece that has a manifest, or whose round was
interrupted, is opened and then only waits for a stop. All calls that may wait for the destination run on the executors;
`step` never waits. The job knows only the seams, so that the same code runs against engines and in a simulation.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from enum import Enum, auto

from redoubt.archive.layout import ClusterPath
from redoubt.archive.manifest import Manifest
from redoubt.archive.store import ArchiveEnd, ArchiveError, PieceStore
from redoubt.archiver.archival import Archival, JobResources
from redoubt.archiver.asking import Retrier, WatchedDestination
from redoubt.archiver.chores import Chores
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.guarding import Guard
from redoubt.archiver.holes import Hole
from redoubt.archiver.opening import Opened, Tenure, open_piece
from redoubt.archiver.reporting import PieceReporter
from redoubt.messages.archiving import (
    ArchivePiece,
    Event,
    HoleOpened,
    PieceBroken,
    PieceCut,
    PieceFrozen,
    PieceStopped,
)
from redoubt.model.log import LogError
from redoubt.model.seams import Destination, LogReader


class _Phase(Enum):
    OPENING = auto()
    ARCHIVING = auto()
    ENDED_BEFORE = auto()
    FREEZING = auto()


class PieceJob:
    """One `ArchivePiece` command being carried out."""

    def __init__(
        self, task: ArchivePiece, reader: LogReader, destination: Destination, resources: JobResources
    ) -> None:
        self.task = task
        self.ended = False
        path = ClusterPath(task.cluster, task.cluster_id).piece(task.tenant_id, task.key)
        self._reader = reader
        self._resources = resources
        self._watches = (
            WatchedDestination(destination, resources.clock),
            WatchedDestination(destination, resources.clock),
        )
        self._storing, self._tending = (PieceStore(watch, path) for watch in self._watches)
        self._give_up = threading.Event()
        self._asker = Retrier(self._pause)
        self._chores = Chores(resources.merger, resources.clock, resources.notify)
        self._reporter = PieceReporter((task.tenant_id, task.round, task.piece), resources.clock)
        self._events: list[Event] = []
        self._phase = _Phase.OPENING
        self._archival: Archival | None = None
        self._guard: Guard | None = None
        self._end: ArchiveEnd | None = None
        self._flush_asked = self._flushed = 0
        self._freezing = (0, 0)
        self._manifest: Manifest | None = None
        self._log_trouble = self._lost = ""
        self._switch_scn = task.switch_scn
        self._patience: float | None = None
        self._stop_lsn: int | None = None
        self._moved: tuple[float, object] = (0.0, None)
        self._tenure = Tenure(self._storing, resources.holder)
        self._opening: Future[Opened] = resources.storer.submit(self._open)
        self._opening.add_done_callback(lambda _: resources.notify())

    def stop(self, patience: float, end_lsn: int | None = None) -> None:
        """Archive all present log, freeze the piece, end. Without progress for `patience` seconds, end at once.

        `end_lsn`: see `StopRound`.
        """
        self._patience, self._stop_lsn = patience, end_lsn
        if self._archival is not None:
            self._archival.stop_at(end_lsn)
        self._moved = (self._resources.clock(), None)

    def switch(self, scn: int) -> None:
        """End this piece at the first point in the log that is not before `scn`."""
        self._switch_scn = scn
        if self._archival is not None:
            self._archival.cut_at(scn)

    def flush(self, number: int) -> None:
        """Make all present log durable, then report `Flushed`."""
        self._flush_asked = max(self._flush_asked, number)
        if self._archival is not None:
            self._archival.flush(number)

    def hand_over(self, job: PieceJob) -> None:
        """Ask of `job`, which is for the same task, what this one was asked for."""
        job.flush(self._flush_asked)
        if self._switch_scn:
            job.switch(self._switch_scn)
        if self._patience is not None:
            job.stop(self._patience, self._stop_lsn)

    def abandon(self) -> None:
        """Stop all work; durable log stays durable. The writer's lock is released when both threads are done."""
        if self.ended:
            return
        self.ended = True
        self._give_up.set()
        for watch in self._watches:
            watch.close()
        self._reader.close()
        done = self._resources.merger.submit(lambda: None)
        done.add_done_callback(lambda _: self._resources.storer.submit(self._let_go))

    def step(self) -> tuple[bool, list[Event]]:
        """Do the work that needs no waiting; returns whether there is probably more to do at once, and the events.

        Raises ContinuedError if a new job must begin in place of this one, see `hand_over`.
        """
        more = False
        last: PieceBroken | PieceStopped | PieceFrozen | None = None
        self._log_trouble = ""
        try:
            more = self._advance()
        except (LogError, ArchiveError) as error:
            last = self._break(str(error))
        except OSError as error:
            self._log_trouble = f"the engine's log cannot be read: {error}"
        last = last or self._try_to_end()
        events = self._tell(at_once=last is not None)
        if last is None:
            return more, events
        self.abandon()
        return False, [*events, last]

    def _advance(self) -> bool:
        more = self._chores.step()
        if self._phase is _Phase.OPENING and self._opening.done():
            self._begin(self._opening.result())
        if self._phase is _Phase.ARCHIVING:
            assert self._archival is not None
            more |= self._archival.step(draining=self._patience is not None)
        if self._is_over():
            more |= self._freeze(self._opening.result())
        return more

    def _begin(self, opened: Opened) -> None:
        """Handle the opened piece: continue at its end, unless the piece has ended for good."""
        task, end = self.task, opened.end
        self._end = end
        guard = Guard(task, opened.info, self._tenure, self._resources.clock, self._storing.keys.mine)
        self._guard = guard if opened.manifest is None else None
        if task.broken_by and not self._is_cut():
            self._events.append(HoleOpened(task.tenant_id, task.round, end.position.lsn, end.position.scn, task.piece))
        if task.broken_by or opened.manifest is not None:
            self._phase = _Phase.ENDED_BEFORE
            if task.after is not None and end.segments:
                hole = Hole(task, self._tending, self._resources.holder, self._resources.now)
                self._chores.do(hole.what, hole.close, self._events.append)
            return
        self._phase = _Phase.ARCHIVING
        self._archival = Archival(
            *(task, opened, self._reader, self._resources),
            *(self._storing, self._asker, self._tending, self._chores),
            *(self._tenure, guard),
            self._events.append,
        )
        self._archival.flush(self._flush_asked)
        self._archival.stop_at(self._stop_lsn)
        if self._switch_scn:
            self._archival.cut_at(self._switch_scn)

    def _is_over(self) -> bool:
        """Whether all log to archive is durable, and freezing has not begun."""
        if self._phase is _Phase.ENDED_BEFORE:
            return (self._patience is not None or self._is_cut()) and not self._lost
        return self._phase is _Phase.ARCHIVING and self._archival is not None and self._archival.is_drained()

    def _is_cut(self) -> bool:
        """Whether all log before the next piece is durable."""
        return self._end is not None and 0 < self._switch_scn <= self._end.position.scn

    def _freeze(self, opened: Opened) -> bool:
        self._phase = _Phase.FREEZING
        digests = {}
        if self._archival is not None:
            self._archival.finish()
            self._end, self._flushed, digests = self._archival.end, self._archival.flushed, self._archival.digests
            self._archival = None
        if self._is_cut() and self._end is not None:
            at = self._end.position
            self._events.append(PieceCut(self.task.tenant_id, self.task.round, self.task.piece, at.lsn, at.scn))
        cluster = (self.task.cluster, self.task.cluster_id)
        freezer = Freezer(self._tending, self._tenure, cluster, self._resources.now, digests, self._frozen_so_far)

        def freeze() -> Manifest:
            assert self._end is not None, "it was opened"
            end_lsn = self._end.position.lsn
            if self._guard is not None:
                self._guard.keep_key(self._tending)
                self._guard.check(self._tending, end_lsn, end_lsn)
            return freezer.freeze(opened.info, end_lsn)

        self._chores.do("the piece cannot be frozen", freeze, self._frozen)
        return True

    def _frozen_so_far(self, done: int, total: int) -> None:
        self._freezing = (done, total)
        self._resources.notify()

    def _frozen(self, manifest: Manifest) -> None:
        self._manifest = manifest
        piece = manifest.piece
        size = piece.end_lsn - piece.start_lsn
        self._end = ArchiveEnd(piece.end, size, manifest.output_bytes, len(manifest.segments))

    def _break(self, text: str) -> PieceBroken | None:
        """Handle a round that cannot continue; a round that was broken before keeps the error until it is stopped."""
        if not self.task.broken_by:
            return PieceBroken(self.task.tenant_id, self.task.round, text, self.task.piece)
        self._lost, self._phase = text, _Phase.ENDED_BEFORE
        return None

    def _try_to_end(self) -> PieceStopped | PieceFrozen | None:
        """The last event, if the piece is frozen, or if a stop was requested and its patience is over."""
        tenant_id, round_id, piece = self.task.tenant_id, self.task.round, self.task.piece
        is_frozen = self._manifest is not None and self._chores.is_idle()
        if self._patience is None:
            return PieceFrozen(tenant_id, round_id, piece) if is_frozen else None
        if self._lost or is_frozen:
            return PieceStopped(tenant_id, round_id, self._lost, piece)
        now, at = self._resources.clock(), self._whereabouts()
        if at != self._moved[1]:
            self._moved = (now, at)
        if now - self._moved[0] < self._patience:
            return None
        text = self._trouble() or self._chores.failure or "the destination did not answer in time"
        return PieceStopped(tenant_id, round_id, text, piece)

    def _whereabouts(self) -> object:
        """A value that changes only with progress."""
        places = None if self._archival is None else self._archival.places
        is_tending = self._phase is _Phase.FREEZING and not self._chores.failure
        return self._phase, places, self._watches[1].answers if is_tending else None

    def _trouble(self) -> str:
        storing, tending = self._watches
        return (
            self._log_trouble
            or self._lost
            or self._asker.trouble
            or storing.silence
            or self._chores.trouble
            or tending.silence
        )

    def _tell(self, *, at_once: bool) -> list[Event]:
        """The events to report; with `at_once` also progress right after the last report."""
        reporter, archival = self._reporter, self._archival
        events = [
            *reporter.progress(archival.end if archival else self._end, at_once=at_once),
            *reporter.flushed(archival.flushed if archival else self._flushed),
            *reporter.trouble(self._trouble()),
            *reporter.freezing(*self._freezing),
            *self._events,
        ]
        self._events.clear()
        return events

    def _open(self) -> Opened:
        encrypts = self._resources.encrypts
        return self._asker.until_answered(lambda: open_piece(self._storing, self.task, self._tenure, encrypts=encrypts))

    def _let_go(self) -> None:
        self._tenure.release()
        self._resources.close()

    def _pause(self, seconds: float) -> bool:
        self._resources.notify()
        return not self._give_up.wait(seconds)
