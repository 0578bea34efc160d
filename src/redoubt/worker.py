"""The archive worker's process: reads commands on standard input, archives, writes events to standard output.

Composition root of the worker, as `service.py` is of the service. The process ends when its standard input ends: the
service is gone. Only one worker works for a home: a worker holds a lock, and a later worker waits for the lock.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import structlog

from redoubt.archiver.archival import JobResources
from redoubt.archiver.archiver import SealRule
from redoubt.archiver.guarding import ContinuedError
from redoubt.archiver.piece_job import PieceJob
from redoubt.destinations.uri import local_directory, open_destination
from redoubt.engines.registry import engine_kind
from redoubt.home import Home
from redoubt.logs import log_to
from redoubt.messages.archiving import (
    ALL_PIECES,
    ArchivePiece,
    Command,
    Configure,
    Flush,
    PieceBroken,
    PieceStopped,
    PieceTrouble,
    StopRound,
    SwitchPiece,
    from_line,
    to_line,
)

_UPKEEP_AGE = 45.0
"""Seconds for which a store, where each request costs, need not be told that an engine is idle."""
_POLL = 0.1
"""Seconds between two reads of a log that has no new groups."""
_ENCODERS = 2
_SWITCH = 0.0001
"""Seconds after which a thread must give up the interpreter to a waiting thread: merging must not delay a flush."""
P = ParamSpec("P")
T = TypeVar("T")
UNKNOWN_ROUND = "the worker did not know the round; the tail of its log may be missing from the archive"
_log = structlog.get_logger("redoubt.worker")


class Encoders(Executor):
    """Threads that compress. The number of threads can change at any time."""

    def __init__(self, size: int) -> None:
        self._size, self._threads = size, _encoding_threads(size)

    def resize(self, size: int) -> None:
        """Use `size` threads from now on. The old threads finish the work submitted before."""
        if size != self._size:
            self._threads.shutdown(wait=False)
            self._size, self._threads = size, _encoding_threads(size)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`."""
        return self._threads.submit(fn, *args, **kwargs)


def _encoding_threads(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="encode")


class Worker:
    """The pieces that are being archived. `holder` is the text in the writers' locks."""

    def __init__(self, events: BinaryIO, seal: SealRule, holder: str) -> None:
        self._events = events
        self._seal = seal
        self._holder = holder
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._encoders = Encoders(_ENCODERS)
        self._configured = Configure("lz4_1.0")
        self._jobs: dict[tuple[int, int], PieceJob] = {}
        """By tenant and piece, the older piece of a tenant first."""

    def tell(self, command: Command | None) -> None:
        """Hand over a command from another thread; None ends `run`."""
        self._commands.put(command)
        self._wake.set()

    def run(self) -> None:
        """Work until `tell(None)` is called."""
        while self._obey():
            more = [self._step(job) for job in list(self._jobs.values())]
            if not any(more):
                self._wake.wait(_POLL)
                self._wake.clear()
        for job in self._jobs.values():
            job.abandon()

    def _obey(self) -> bool:
        """Carry out the waiting commands; False if one of them is None, the end."""
        while not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return False
            if isinstance(command, Configure):
                self._configure(command)
            elif isinstance(command, Flush):
                self._flush(command)
            elif isinstance(command, StopRound):
                self._stop(command)
            elif isinstance(command, SwitchPiece):
                self._switch(command)
            else:
                self._archive(command)
        return True

    def _configure(self, command: Configure) -> None:
        """Use new settings; pieces are opened again where encryption begins or ends."""
        is_other = command.encrypts is not self._configured.encrypts
        self._configured = command
        self._encoders.resize(command.concurrency or _ENCODERS)
        for job in list(self._jobs.values()) if is_other else ():
            self._begin_again(job)

    def _archive(self, command: ArchivePiece) -> None:
        """Begin a job, unless the piece has one: the service repeats commands. An interruption ends its piece's job.

        The jobs of the tenant's other rounds end here.
        """
        key = (command.tenant_id, command.piece)
        for other in [k for k, j in self._jobs.items() if k[0] == command.tenant_id and j.task.round != command.round]:
            self._jobs.pop(other).abandon()
        job = self._jobs.get(key)
        if job is not None:
            if bool(job.task.broken_by) >= bool(command.broken_by):
                return
            job.abandon()  # the next job waits for the lock until this job has nothing under way
        self._begin(command)

    def _of(self, tenant_id: int, round_id: int) -> list[PieceJob]:
        """The jobs for a tenant's round, the oldest piece first."""
        return [job for key, job in sorted(self._jobs.items()) if key[0] == tenant_id and job.task.round == round_id]

    def _flush(self, command: Flush) -> None:
        """Pass a flush on to the latest piece. A round that has ended needs no answer: its end was reported."""
        for job in self._of(command.tenant_id, command.round)[-1:]:
            job.flush(command.number)

    def _switch(self, command: SwitchPiece) -> None:
        """Pass a switch on to the piece's job. If the job has ended, the service restarts it."""
        for job in self._of(command.tenant_id, command.round):
            if job.task.piece == command.piece:
                job.switch(command.switch_scn)

    def _stop(self, command: StopRound) -> None:
        jobs = self._of(command.tenant_id, command.round)
        for job in jobs:
            job.stop(command.patience, command.end_lsn)
        if not jobs:
            self._events.write(to_line(PieceStopped(command.tenant_id, command.round, UNKNOWN_ROUND, ALL_PIECES)))

    def _begin(self, task: ArchivePiece) -> PieceJob:
        job = self._jobs[task.tenant_id, task.piece] = self._job(task)
        return job

    def _begin_again(self, job: PieceJob) -> None:
        job.abandon()  # the next job waits for the lock until this job has nothing under way
        job.hand_over(self._begin(job.task))

    def _job(self, task: ArchivePiece) -> PieceJob:
        _log.info("archiving", tenant_id=task.tenant_id, piece=str(task.key), destination=task.destination)
        storer = ThreadPoolExecutor(1, thread_name_prefix=f"store-{task.tenant_id}-{task.piece}")
        merger = ThreadPoolExecutor(1, thread_name_prefix=f"merge-{task.tenant_id}-{task.piece}")
        resources = JobResources(
            encoders=self._encoders,
            storer=storer,
            merger=merger,
            clock=time.monotonic,
            now=time.time_ns,
            notify=self._wake.set,
            codec=lambda: self._configured.codec,
            seal=self._seal if local_directory(task.destination) else replace(self._seal, upkeep_age=_UPKEEP_AGE),
            longest_age=lambda: self._configured.longest_age,
            holder=self._holder,
            close=lambda: _shut_down(storer, merger),
            encrypts=self._configured.encrypts,
        )
        reader = engine_kind(task.engine_kind).engine(Path(task.base_dir)).reader()
        return PieceJob(task, reader, open_destination(task.destination), resources)

    def _step(self, job: PieceJob) -> bool:
        try:
            more, events = job.step()
        except ContinuedError as error:
            _log.warning("opening the piece again", tenant_id=job.task.tenant_id, cause=str(error))
            self._begin_again(job)
            return True
        for event in events:
            if isinstance(event, PieceBroken):
                _log.error("round interrupted", tenant_id=event.tenant_id, round=event.round, cause=event.text)
            elif isinstance(event, PieceTrouble):
                _log.warning("archiving is delayed", tenant_id=event.tenant_id, round=event.round, cause=event.text)
            self._events.write(to_line(event))
        if job.ended:
            del self._jobs[job.task.tenant_id, job.task.piece]
        return more


def _shut_down(*executors: ThreadPoolExecutor) -> None:
    for executor in executors:
        executor.shutdown(wait=False)


def main() -> None:
    """`python -m redoubt.worker HOME SEGMENT_SIZE SEGMENT_AGE`."""
    home = Path(sys.argv[1])
    seal = SealRule(size=int(sys.argv[2]), age=float(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the service
    log_to(home / "log" / "archive_worker.log")
    Home(home).worker_lock()  # held until the process has ended
    events = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    worker = Worker(events, seal, holder=f"pid {os.getpid()} on {socket.gethostname()}, home {home}")
    sys.setswitchinterval(_SWITCH)
    threading.Thread(target=_read_commands, args=(worker,), daemon=True).start()
    _log.info("worker started", pid=os.getpid())
    try:
        worker.run()
    except BrokenPipeError:  # pragma: no cover - the service died between two of our writes
        _log.warning("the service is gone")
    except Exception:  # noqa: BLE001 - a bug is logged, and the service starts another worker
        _log.exception("worker failed", pid=os.getpid())
        os._exit(1)
    _log.info("worker ended", pid=os.getpid())
    os._exit(0)  # a hanging destination must not keep the process alive; all reported progress is durable


def _read_commands(worker: Worker) -> None:
    for line in sys.stdin.buffer:
        command = from_line(line)
        assert isinstance(command, Command)
        worker.tell(command)
    worker.tell(None)


if __name__ == "__main__":
    main()
