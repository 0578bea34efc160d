"""A piece while it is being archived: ships its log, merges its segments, records the hole before its round."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from redoubt.archive.layout import INCARNATION
from redoubt.archive.segment import PieceIdentity
from redoubt.archive.store import ArchiveEnd, PieceStore
from redoubt.archiver.archiver import Archiver, SealRule
from redoubt.archiver.asking import Retrier
from redoubt.archiver.chores import Chores
from redoubt.archiver.guarding import CLAIMS_EVERY, Guard
from redoubt.archiver.holes import Hole
from redoubt.archiver.merger import Merger
from redoubt.archiver.opening import Opened, Tenure
from redoubt.archiver.shipper import SMALL, Shipped, Shipper
from redoubt.messages.archiving import ArchivePiece, HoleClosed
from redoubt.model.seams import LogReader


@dataclass(frozen=True)
class JobResources:
    """Threads, clocks and settings of a job. `storer` and `merger` each run one call at a time, only for this job.

    `clock` gives monotonic seconds, `now` ns since the epoch. `notify` is called when work in a thread is done, `close`
    when the job has released the destination. `holder` names the writer in the lock. `small`: see `Shipper`.
    `longest_age()`: see `Archiver`. `encrypts`: whether to encrypt new segments.
    """

    encoders: Executor
    storer: Executor
    merger: Executor
    clock: Callable[[], float]
    now: Callable[[], int]
    notify: Callable[[], None]
    codec: Callable[[], str]
    seal: SealRule
    holder: str
    small: int = SMALL
    longest_age: Callable[[], float] = lambda: math.inf
    close: Callable[[], None] = lambda: None
    encrypts: bool = False


class Archival:
    """The work on a piece until its log has been read to the end.

    `storing` is the piece as the storer's thread uses it, with retries by `asker`; `tending` is the piece as the chores
    use it. `tenure` is the writer's lock. `guard` guards both. `hole_closed` is called with the hole before the round,
    if the round follows another.
    """

    def __init__(
        self,
        task: ArchivePiece,
        opened: Opened,
        reader: LogReader,
        resources: JobResources,
        storing: PieceStore,
        asker: Retrier,
        tending: PieceStore,
        chores: Chores,
        tenure: Tenure,
        guard: Guard,
        hole_closed: Callable[[HoleClosed], None],
    ) -> None:
        of = PieceIdentity(
            *(task.cluster, task.cluster_id, INCARNATION, task.tenant_id, task.round, task.piece, task.source),
            task.engine_kind,
        )
        shipper = Shipper(
            *(storing, resources.encoders, resources.storer, asker, resources.notify, resources.small),
            lambda start_lsn, end_lsn: guard.check(storing, start_lsn, end_lsn),
            lambda: tenure.epoch,
            tenure.check,
            opened.key,
        )
        self._guard = guard
        self._looked_at = resources.clock()
        self._task = task
        self._resources = resources
        self._tending = tending
        self._chores = chores
        self._hole_closed = hole_closed
        self._is_hole_known = task.after is None
        self._merger = Merger(tending, chores, opened.listing, resources.clock, tenure)
        self._archiver = Archiver(
            of,
            reader,
            shipper,
            opened.end,
            resources.codec,
            resources.seal,
            resources.clock,
            self._when_durable,
            resources.longest_age,
        )

    @property
    def end(self) -> ArchiveEnd:
        """The durable end of the piece, with the sizes after merging."""
        end, merger = self._archiver.end, self._merger
        return replace(
            end, output_bytes=end.output_bytes - merger.saved_bytes, segments=end.segments - merger.saved_objects
        )

    @property
    def flushed(self) -> int:
        """See `Archiver`."""
        return self._archiver.flushed

    @property
    def places(self) -> tuple[int, int]:
        """The LSNs up to which the log has been read, and is durable; while they change, the job makes progress."""
        return self._archiver.read_to, self._archiver.end.position.lsn

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the objects that this job stored or merged, by the name in the folder."""
        return self._merger.digests

    def flush(self, number: int) -> None:
        """See `Archiver`."""
        self._archiver.flush(number)

    def cut_at(self, scn: int) -> None:
        """See `Archiver`."""
        self._archiver.cut_at(scn)

    def stop_at(self, lsn: int | None) -> None:
        """See `Archiver`."""
        self._archiver.stop_at(lsn)

    def step(self, *, draining: bool) -> bool:
        """See `Archiver`."""
        more = self._archiver.step(draining=draining)
        self._merger.step()
        self._look_at_claims()
        if not self._is_hole_known and self._archiver.end.segments:
            self._is_hole_known = True
            hole = Hole(self._task, self._tending, self._resources.holder, self._resources.now)
            self._chores.do(hole.what, hole.close, self._hole_closed)
        return more

    def is_drained(self) -> bool:
        """See `Archiver`."""
        return self._archiver.is_drained()

    def finish(self) -> None:
        """Stop merging, because the piece will be frozen."""
        self._merger.end()

    def _look_at_claims(self) -> None:
        now = self._resources.clock()
        if now - self._looked_at >= CLAIMS_EVERY:
            self._looked_at = math.inf  # until this look is over
            self._chores.do(
                "the destination",
                lambda: self._guard.keep_claims(self._tending, self._archiver.end.position.lsn),
                self._claims_are_there,
            )

    def _claims_are_there(self, _: None) -> None:
        self._looked_at = self._resources.clock()

    def _when_durable(self, shipped: Shipped) -> None:
        self._merger.add(shipped.name, shipped.stored_bytes, shipped.digest)
