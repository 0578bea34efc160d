"""The worker as it is, but for its threads, its engine and its pipe."""

from __future__ import annotations

import random
from typing import Any

from redoubt import worker
from redoubt.archiver.archival import JobResources
from redoubt.archiver.archiver import SealRule
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import ArchivePiece, Configure, Event, SwitchPiece
from redoubt.model.log import LogBatch, LogPosition

from .engine import SimEngine
from .fibers import CrashError, FiberExecutor, LooseExecutor, Turns
from .medium import Medium
from .processes import Process
from .promises import Key, Promises

HOLDER = "worker 1 on host-a"


class PieceReader:
    """The log as one piece's job reads it; notes how far the piece may reach.

    That is where a batch ends which begins before the switch, or which was read before the switch was told.
    """

    def __init__(self, engine: SimEngine, key: Key, switch_scn: int, promises: Promises) -> None:
        self.switch_scn = switch_scn
        self._engine = engine
        self._key = key
        self._reach = promises.reach

    def read(self, position: LogPosition, limit: int) -> LogBatch | None:
        """See `LogReader`."""
        batch = self._engine.read(position, limit)
        if batch is not None and (not self.switch_scn or position.scn < self.switch_scn):
            self._reach[self._key] = max(self._reach.get(self._key, 0), batch.end.lsn)
        return batch

    def close(self) -> None:
        """See `LogReader`."""


class Worker(worker.Worker):
    """One life of the worker's process. What it says is in `said`; commands are obeyed when it steps.

    Messages go through the pipe as they are, without `to_line` and `from_line`.
    """

    def __init__(
        self,
        process: Process,
        medium: Medium,
        turns: Turns,
        rng: random.Random,
        seal: SealRule,
        engine: SimEngine,
        promises: Promises,
        codec: str,
    ) -> None:
        self.said: list[Event] = []
        pipe: Any = self  # what it writes goes to `write`
        super().__init__(pipe, seal, HOLDER)
        self.encoders = LooseExecutor()
        self.process = process
        self._medium = medium
        self._turns = turns
        self._rng = rng
        self._engine = engine
        self._promises = promises
        self._readers: dict[Key, PieceReader] = {}
        self.tell(Configure(codec))

    def write(self, event: Event) -> None:
        """An event goes into the pipe."""
        self.said.append(event)

    def step(self) -> None:
        """As `run` does again and again."""
        self._obey()
        for job in list(self._jobs.values()):
            self._step(job)

    def kill(self) -> None:
        """The process is gone."""
        for thread in self.process.threads:
            thread.kill()
        self.process.threads.clear()
        self.process.is_dead = True
        self.said.clear()

    def _switch(self, command: SwitchPiece) -> None:
        super()._switch(command)
        if (reader := self._readers.get((command.round, command.piece))) is not None:
            reader.switch_scn = command.switch_scn

    def _begin(self, task: ArchivePiece) -> PieceJob:
        if not self.process.has_service:  # its input has ended, so it ends too, and does not open a piece again
            raise CrashError
        return super()._begin(task)

    def _job(self, task: ArchivePiece) -> PieceJob:
        resources = JobResources(
            encoders=self.encoders,
            storer=self._thread(f"store {task.key}"),
            merger=self._thread(f"merge {task.key}"),
            clock=self._turns.clock,
            now=lambda: int(self._turns.now * 1e9),
            notify=lambda: None,
            codec=lambda: self._configured.codec,
            seal=self._seal,
            holder=self._holder,
            small=self._rng.choice((0, 1000)),
        )
        key = (task.round, task.piece)
        reader = self._readers[key] = PieceReader(self._engine, key, task.switch_scn, self._promises)
        return PieceJob(task, reader, self._medium.destination(), resources)

    def _thread(self, name: str) -> FiberExecutor:
        self.process.threads.append(FiberExecutor(self._turns, name))
        return self.process.threads[-1]
