"""A small service: what control/ does with rounds and pieces, without SQL, threads and processes.

What it decides, the product's own pure functions decide: `model.rounds`, `piece_tasks`, `apply_event`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from redoubt.control.cluster import Cluster
from redoubt.control.rounds.piece_tasks import piece_tasks
from redoubt.control.rounds.worker_events import apply_event
from redoubt.messages.archiving import (
    Command,
    Event,
    Flush,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceCut,
    PieceFrozen,
    StopRound,
    SwitchPiece,
)
from redoubt.model import rounds
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus

from .engine import SimEngine
from .promises import Promises

TENANT = 1001
_CLUSTER = Cluster("c", 1, "f00d")
_PATIENCE = 20.0
_START_SCN = 50


@dataclass
class Catalog:
    """What survives the service: written at once when a statement changes it, and now and then when the worker does."""

    round: Round = field(default_factory=Round)
    hole: Hole | None = None
    """What broke the round."""

    def round_before(self, round_id: int, _destination: str) -> int | None:
        """See `Catalog`."""
        return round_id - 1 or None


class Archive:
    """Stands for `TenantArchive`."""

    def __init__(self, engine: SimEngine, flushed: Callable[[int], None]) -> None:
        source = SimpleNamespace(source_id=lambda: "engine-a", start_point=engine.start_point)
        self.tenant = SimpleNamespace(
            tenant_id=TENANT, name="main", base_dir="/nowhere", engine=source, engine_kind="seekdb"
        )
        self.told: set[int] = set()
        self.troubles: dict[int, str] = {}
        self.durable_lsn: int | None = None
        self.is_leaving = False
        self.gone = None
        self.trouble = ""
        self.commits = SimpleNamespace(flushed=flushed)


class Service:
    """One life of the service's process. `send` tells the worker."""

    def __init__(
        self,
        catalog: Catalog,
        promises: Promises,
        engine: SimEngine,
        destination: str,
        send: Callable[[Command], None],
        counts: Counter[str],
    ) -> None:
        self.catalog = catalog
        self.promises = promises
        self.engine = engine
        self.destination = destination
        self.send = send
        self.counts = counts
        self.round, self.hole = catalog.round, catalog.hole
        self.wants_launch = self.round.status is not RoundStatus.STOP
        self.flushes: dict[int, int] = {}
        """Flushes that are waited for: by number, where the log ended when it was asked for."""
        self.stop_lsn = 0
        """Where the log ended when the stop was asked for."""
        self._flush_number = 0
        self._archive = Archive(engine, self._flushed)
        self._chronicle = SimpleNamespace(begin_hole_at=_nothing, close_hole=_nothing)
        if self.round.is_archiving and self.hole is not None:
            self.interrupt(self.hole.cause, 0)  # it was, and only the hole had been written

    def start(self, *, has_pieces: bool) -> None:
        """ARCHIVELOG."""
        self._change(
            rounds.begin(
                self.round,
                tenants=[TENANT],
                start_scn=_START_SCN,
                create_date=_day(self.round),
                destination=self.destination,
                has_pieces=has_pieces,
            )
        )
        self.catalog.hole = self.hole = None
        self.promises.pieces[self.round.round_id, self.round.start_piece_id] = self.round.create_date
        self._archive.told.clear()
        self._archive.durable_lsn = None
        self.flushes.clear()
        self.wants_launch = True

    def stop(self) -> None:
        """NOARCHIVELOG."""
        self._change(rounds.stopping(self.round))
        self.stop_lsn = self.engine.end.lsn
        self._tell_stop()

    def cancel(self) -> None:
        """CANCEL ALL BACKUP FORCE; the worker is gone."""
        now = self.round if self.round.status is RoundStatus.STOPPING else rounds.stopping(self.round)
        self._change(rounds.all_stopped(now, "cancelled"))
        self.wants_launch = False
        self.engine.release_all_log()

    def switch(self, scn: int) -> None:
        """The time of a piece is over: only the catalog knows so far."""
        self._change(rounds.switched(self.round, scn, _day(self.round)))
        old, new = self.round.pieces[-2:]
        self.promises.switches[self.round.round_id, old.piece_id] = scn
        self.promises.pieces[self.round.round_id, new.piece_id] = new.create_date

    def tell_switch(self) -> None:
        """As `Orders.switch` does."""
        old, new = self.round.pieces[-2:]
        if old.piece_id in self._archive.told:
            round_id, scn = self.round.round_id, old.switch_scn
            self.send(SwitchPiece(TENANT, round_id, old.piece_id, new.piece_id, new.create_date, scn))

    def flush(self) -> None:
        """A synchronous commit asks for its log."""
        self._flush_number += 1
        self.flushes[self._flush_number] = self.engine.end.lsn
        self.send(Flush(TENANT, self.round.round_id, self._flush_number))

    def interrupt(self, cause: str, now: float) -> None:
        """The round cannot go on, or its log was let go of: as `Archiving.interrupt` does."""
        was_archiving = self.round.is_archiving
        self.round = rounds.interrupted(self.round, TENANT, cause)
        if not was_archiving:
            return
        self.hole = self.hole or Hole(TENANT, self.round.round_id, 0, 0, cause, int(now * 1e9))
        self.promises.broken.setdefault(self.round.round_id, set()).add(cause)
        self._archive.told.clear()
        self.engine.release_all_log()
        self.wants_launch = True

    def launch(self) -> None:
        """Tell the worker of the open pieces, as `Orders._tell` does; later if the engine does not answer."""
        archive: Any = self._archive
        catalog: Any = self.catalog
        try:
            if self.round.is_archiving:
                self.engine.hold_log()
            tasks = piece_tasks(_CLUSTER, archive.tenant, self.round, self.hole, catalog)
        except OSError:
            return
        self.wants_launch = False
        for task in tasks:
            self.send(task)
            archive.told.add(task.piece)
        for number in self.flushes:
            self.send(Flush(TENANT, self.round.round_id, number))
        if self.round.status is RoundStatus.STOPPING:
            self._tell_stop()

    def worker_started(self) -> None:
        """As `Archiving.worker_started` does."""
        self._archive.told.clear()
        self.wants_launch = self.round.status is not RoundStatus.STOP

    def save(self) -> None:
        """The catalog follows."""
        self.catalog.round, self.catalog.hole = self.round, self.hole

    def apply_event(self, event: Event, now: float) -> None:
        """As `Archiving.worker_says` does."""
        self.promises.take(event)
        before = self.round.status
        if event.round != self.round.round_id or before is RoundStatus.STOP:
            return
        archive: Any = self._archive
        chronicle: Any = self._chronicle
        self.round, then = apply_event(event, self.round, archive, chronicle)
        self._count(event, before)
        if archive.durable_lsn is not None and self.round.is_archiving:
            self.engine.release_log(archive.durable_lsn)
        if then.broken_by:
            self.interrupt(then.broken_by, now)
        if then.has_new_piece:
            self.wants_launch = True
        if self.round.status is RoundStatus.STOP:
            self._stopped()

    def set_back(self, lsn: int) -> None:
        """The engine has lost its log from `lsn` on: nobody can be promised that."""
        self.flushes = {number: min(asked, lsn) for number, asked in self.flushes.items()}
        self.stop_lsn = min(self.stop_lsn, lsn)

    def _change(self, then: Round) -> None:
        """In the catalog first."""
        self.round = then
        self.save()

    def _tell_stop(self) -> None:
        """As `Orders.stop` does: a worker that does not know the round would say at once that it has stopped."""
        if self._archive.told:
            self.send(StopRound(TENANT, self.round.round_id, _PATIENCE, self.stop_lsn))

    def _stopped(self) -> None:
        """A stop of which nothing is said says that all is archived that there was when it was asked for."""
        number, comment = self.round.round_id, self.round.comment
        self.counts["stopped late" if comment and number not in self.promises.broken else "stopped"] += 1
        if not comment:
            self.promises.is_durable(number, self.stop_lsn)
        self.wants_launch = False
        self.engine.release_all_log()

    def _flushed(self, number: int) -> None:
        for known in [known for known in self.flushes if known <= number]:
            self.counts["flushed"] += 1
            self.promises.is_durable(self.round.round_id, self.flushes.pop(known))

    def _count(self, event: Event, before: RoundStatus) -> None:
        match event:
            case HoleClosed():
                self.counts["hole closed" if event.end_lsn > event.start_lsn else "no hole between rounds"] += 1
            case HoleOpened():
                self.counts["hole opened"] += 1
            case PieceCut():
                self.counts["piece cut"] += 1
            case PieceFrozen():
                self.counts["piece frozen"] += 1
            case PieceBroken() if before in {RoundStatus.BEGINNING, RoundStatus.DOING}:
                self.counts["round broken by the worker"] += 1
            case _:
                pass


def _nothing(*_arguments: object) -> None:
    """What goes to the catalog is in the promises."""


def _day(last: Round) -> int:
    """The day on which the piece after the last one begins: another one each time."""
    return 20260101 + last.last_piece_id % 28
