"""A small service and worker: what control/ and worker.py do with rounds, without SQL, threads and processes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from redoubt.archiver.archiver import SealRule
from redoubt.archiver.job import RoundJob
from redoubt.archiver.means import Means
from redoubt.archiver.messages import (
    ArchiveRound,
    Event,
    Flush,
    Flushed,
    HoleClosed,
    HoleOpened,
    RoundBroken,
    RoundProgress,
    RoundStopped,
    StopRound,
)
from redoubt.destinations.file import FileDestination

from .engine import SimEngine
from .fibers import FiberExecutor, LooseExecutor, Turns

ROOT = "/backup"
TENANT = 1001
_PATIENCE = 20.0


@dataclass
class Catalog:
    """What survives the service: written at once when a statement changes it, and now and then when the worker does."""

    round: int = 0
    status: str = "STOP"
    checkpoint: int = 0
    cause: str = ""
    broken_at: int = 0


@dataclass
class Promises:
    """What the product has said, as the checker holds it to it. Kept over every crash."""

    durable: dict[int, int] = field(default_factory=dict)
    """For each round the LSN up to which it was reported durable."""
    starts: dict[int, int] = field(default_factory=dict)
    """For each round the LSN at which it was reported to begin."""
    broken: dict[int, str] = field(default_factory=dict)
    """For each broken round the cause that was to be recorded."""
    opened: dict[int, tuple[int, int]] = field(default_factory=dict)
    """For each round of which it was said that its interruption is on record: LSN and SCN of its end."""
    closed: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """For each round whose begin was reported: the round before, and start and end of the hole."""
    stopped: dict[int, str] = field(default_factory=dict)
    """For each round that said so: that it stopped, and what was left undone."""


class Worker:
    """One life of the worker's process."""

    def __init__(self, turns: Turns, rng: random.Random, seal: SealRule, engine: SimEngine) -> None:
        self.turns = turns
        self.engine = engine
        self.encoders = LooseExecutor()
        self.threads: list[FiberExecutor] = []
        self.job: RoundJob | None = None
        self.codec = "none"
        self._rng = rng
        self._seal = seal

    def tell(self, command: ArchiveRound | Flush | StopRound, events: list[Event]) -> None:
        """As `Worker._obey` does."""
        match command:
            case ArchiveRound():
                if self.job is not None and (command.broken_by or self.job.task.round != command.round):
                    self.job.abandon()
                    self.job = None
                if self.job is None:
                    self.job = self._begin(command)
            case StopRound() if self.job is not None:
                self.job.stop(command.patience)
            case StopRound():
                events.append(RoundStopped(command.tenant_id, command.round, ""))
            case Flush() if self.job is not None and self.job.task.round == command.round:
                self.job.flush(command.number)

    def step(self) -> list[Event]:
        """As `Worker._step` does."""
        if self.job is None:
            return []
        job = self.job
        _, events = job.step()
        if job.ended:
            self.job = None
        return events

    def kill(self) -> None:
        """The process is gone."""
        for thread in self.threads:
            thread.kill()
        self.threads.clear()

    def _thread(self, name: str) -> FiberExecutor:
        self.threads.append(FiberExecutor(self.turns, name))
        return self.threads[-1]

    def _begin(self, task: ArchiveRound) -> RoundJob:
        self.threads = [thread for thread in self.threads if not thread.is_idle]
        means = Means(
            encoders=self.encoders,
            storer=self._thread(f"store {task.round}"),
            merger=self._thread(f"merge {task.round}"),
            clock=self.turns.clock,
            now=lambda: int(self.turns.now * 1e9),
            notify=lambda: None,
            codec=lambda: self.codec,
            seal=self._seal,
            holder="worker 1 on host-a",
            small=self._rng.choice((0, 1000)),
        )
        return RoundJob(task, self.engine, FileDestination(Path(ROOT)), means)


class Service:
    """One life of the service's process. `send` tells the worker."""

    def __init__(
        self,
        catalog: Catalog,
        promises: Promises,
        engine: SimEngine,
        send: Callable[[ArchiveRound | Flush | StopRound], None],
        counts: Counter[str],
    ) -> None:
        self.catalog = catalog
        self.promises = promises
        self.engine = engine
        self.send = send
        self.counts = counts
        self.checkpoint = catalog.checkpoint
        self.wants_launch = catalog.status != "STOP"
        self.flushes: dict[int, int] = {}
        """Flushes that are waited for: by number, where the log ended when it was asked for."""
        self.stop_lsn = 0
        """Where the log ended when the stop was asked for."""
        self._flush_number = 0

    @property
    def is_archiving(self) -> bool:
        """Whether the round takes log."""
        return self.catalog.status == "DOING"

    def start(self) -> None:
        """ARCHIVELOG."""
        self.catalog.round += 1
        self.catalog.status, self.catalog.checkpoint, self.catalog.cause = "DOING", 0, ""
        self.checkpoint = 0
        self.flushes.clear()
        self.wants_launch = True

    def stop(self) -> None:
        """NOARCHIVELOG."""
        self.catalog.status = "STOPPING"
        self.stop_lsn = self.engine.end.lsn
        if not self.wants_launch:  # a worker that does not know the round would say at once that it has stopped
            self.send(StopRound(TENANT, self.catalog.round, _PATIENCE))

    def flush(self) -> None:
        """A synchronous commit asks for its log."""
        self._flush_number += 1
        self.flushes[self._flush_number] = self.engine.end.lsn
        self.send(Flush(TENANT, self.catalog.round, self._flush_number))

    def interrupt(self, cause: str, now: float) -> None:
        """The round cannot go on, or its log was let go of."""
        self.catalog.status, self.catalog.cause, self.catalog.broken_at = "INTERRUPTED", cause, int(now * 1e9)
        self.promises.broken[self.catalog.round] = cause
        self.engine.release_all_log()
        self.wants_launch = True

    def launch(self) -> None:
        """Tell the worker of the round; tried again later while the engine does not answer."""
        catalog = self.catalog
        try:
            if self.is_archiving:
                self.engine.hold_log()
            start = self.engine.start_point().lsn if not catalog.checkpoint else None
        except OSError:
            return
        self.wants_launch = False
        self.send(
            ArchiveRound(
                tenant_id=TENANT,
                tenant="main",
                base_dir="/nowhere",
                source="engine-a",
                destination="file:///backup",
                cluster="c",
                cluster_id=1,
                identity="f00d",
                round=catalog.round,
                piece=0,
                start_scn=50,
                start_lsn=start,
                after=catalog.round - 1 or None,
                broken_by=catalog.cause,
                broken_at=catalog.broken_at if catalog.cause else 0,
            )
        )
        for number in self.flushes:
            self.send(Flush(TENANT, catalog.round, number))
        if catalog.status == "STOPPING":
            self.send(StopRound(TENANT, catalog.round, _PATIENCE))

    def save(self) -> None:
        """The catalog follows."""
        self.catalog.checkpoint = self.checkpoint

    def hear(self, event: Event, now: float) -> None:
        """As `Archiving.worker_says` does."""
        promises, catalog = self.promises, self.catalog
        if isinstance(event, RoundProgress):
            promises.durable[event.round] = max(promises.durable.get(event.round, 0), event.lsn)
            promises.starts.setdefault(event.round, event.lsn - event.input_bytes)
        if event.round != catalog.round:
            return
        match event:
            case RoundProgress():
                self.checkpoint = max(self.checkpoint, event.scn)
                if event.segments:
                    self.engine.release_log(event.lsn)
            case Flushed():
                self._flushed(event)
            case HoleOpened():
                self.counts["hole opened"] += 1
                promises.opened[event.round] = (event.lsn, event.scn)
            case HoleClosed():
                self.counts["hole closed" if event.end_lsn > event.start_lsn else "no hole between rounds"] += 1
                promises.closed[event.round] = (event.after, event.start_lsn, event.end_lsn, event.end_scn)
            case RoundBroken() | RoundStopped():
                self._ended(event, now)

    def _ended(self, event: RoundBroken | RoundStopped, now: float) -> None:
        status = self.catalog.status
        if isinstance(event, RoundBroken) and status == "DOING":
            self.counts["round broken by the worker"] += 1
            self.interrupt(event.text, now)
        elif status == "STOPPING":
            if isinstance(event, RoundStopped):
                self.counts["stopped late" if event.text else "stopped"] += 1
                self._stopped(event)
            self.catalog.status = "STOP"
            self.engine.release_all_log()

    def _stopped(self, event: RoundStopped) -> None:
        """A stop without a text says that all is archived that there was when it was asked for."""
        promises = self.promises
        promises.stopped[event.round] = event.text
        if not event.text and event.round not in promises.broken:
            promises.durable[event.round] = max(promises.durable.get(event.round, 0), self.stop_lsn)

    def set_back(self, lsn: int) -> None:
        """The engine has lost its log from `lsn` on: nobody can be promised that."""
        self.flushes = {number: min(asked, lsn) for number, asked in self.flushes.items()}
        self.stop_lsn = min(self.stop_lsn, lsn)

    def _flushed(self, event: Flushed) -> None:
        for number in [number for number in self.flushes if number <= event.number]:
            self.counts["flushed"] += 1
            lsn = self.flushes.pop(number)
            self.promises.durable[event.round] = max(self.promises.durable.get(event.round, 0), lsn)
