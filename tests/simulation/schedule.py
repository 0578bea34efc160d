"""One schedule: from a seed, what happens to engine, service, worker, disk and clock; and the verdict."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from redoubt.archiver.archiver import SealRule
from redoubt.destinations.lease import TERM
from redoubt.messages.archiving import (
    Command,
    Flushed,
    HoleClosed,
    HoleOpened,
    PieceCut,
    PieceFrozen,
    PieceProgress,
    PieceStopped,
)
from redoubt.model import rounds
from redoubt.model.rounds import RoundStatus

from .checker import Checker, Round
from .doubles import in_place
from .engine import SimEngine
from .faults import WEAK, WEATHERS, Faults, Odds
from .fibers import CrashError, Turns
from .medium import BucketMedium, DiskMedium, Medium
from .processes import Processes
from .promises import Promises
from .reading import compare, reading
from .segments import ViolationError
from .service import Catalog, Service
from .worker import Worker

_CODECS = ("none", "none", "lz4_1.0", "zstd_1.3.8")
_NO_ODDS = Odds(0, 0, 0, 0, 0)
_PROMISES = (PieceProgress, PieceStopped, Flushed, HoleOpened, HoleClosed, PieceCut, PieceFrozen)
_TO_THE_END = 3000
"""Turns that a schedule may take at most to come to its end when nothing goes wrong any more."""
_TO_BE_FLUSHED = 1000
"""Turns after which a flush must have been answered."""


class Schedule:
    """One run, of an even seed on a disk, of an odd one in a bucket. `run` raises ViolationError.

    `counts` says what occurred; `trace` is told every step.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] = lambda _text: None) -> None:
        self.seed = seed
        in_bucket = seed % 2 == 1
        self.counts: Counter[str] = Counter()
        self.rng = rng = random.Random(seed)
        self.trace = trace
        self.turns = Turns()
        rare = rng.choice((0.0, 0.01, 0.05) if in_bucket else (0.0, 0.0, 0.003, 0.02))
        odds = Odds(
            error=rare * rng.choice((0, 1)),
            lost_answer=rare * rng.choice((0, 1)),
            short=rng.choice((0, 0.2)),
            turn=rng.choice((0, 0.1, 0.3, 0.6) if in_bucket else (0, 0.1, 0.3)),
            reader=rng.choice((0, 0, 0.05)),
            weak=rng.choice(WEAK) if rng.random() < 0.2 else "",
        )
        self.faults = Faults(rng, self.turns, odds, self.counts)
        self.faults.trace = trace
        self.faults.in_between = self._read_on
        self.processes = Processes()
        self.promises = Promises()
        self.medium = self._a_medium(in_bucket=in_bucket)
        self.ghost: Worker | None = None
        """A worker that was paused, and does not know that another one has taken its place."""
        self.engine = SimEngine(rng.choice((0, 1000)))
        self.checker = Checker(self.promises, self.counts, may_be_late=in_bucket)
        self.catalog = Catalog()
        self.seal = SealRule(size=rng.choice((20, 40, 100)), age=rng.choice((0.1, 1.0)))
        self.limit = rng.choice((150, 400, 10_000, 10_000))
        self.merging = {"MANY": rng.choice((2, 4)), "NEWEST": rng.choice((1, 2)), "SPAN": rng.choice((0.0, 2.0))}
        self.doubt = rng.choice((0.1, 0.5))
        self.clearing = rng.choice((0.02, 0.2))
        self.group = rng.choice((12, 50))
        self.pieces = rng.choice((0.0, 0.0, 0.9))
        self.ticks = DiskMedium.ticks if rng.random() < 0.5 or not in_bucket else (0.2, 6.0, 90.0)
        self.hearing = rng.choice((1.0, 0.3))
        self.machine = "machine-1"
        self.pausing = rng.choice(("", "merge", "merge", "store"))
        """The worker is paused in the midst of what a thread of this name does."""
        self.sleeps_long = rng.random() < 0.7
        """Whether it stands still until another one has begun to write."""
        self._taken_over = 0
        self._reader: Iterator[None] | None = None
        self._actions, self._weights = self._odds_of_actions()
        self._begin_life()

    def run(self) -> Counter[str]:
        """Play it: what happened, counted. Raises ViolationError."""
        with in_place(self.medium, self.turns, self.merging):
            try:
                for _ in range(self.rng.choice((100, 300) if self.pieces else (30, 100, 250))):
                    self._turn()
                self._to_the_end()
            finally:
                self._end_ghost()
                self.faults.is_dead = True
                self.worker.kill()
        return self.counts

    def _a_medium(self, *, in_bucket: bool) -> Medium:
        if not in_bucket:
            return DiskMedium(self.rng, self.faults)
        calm = Faults(self.rng, self.turns, _NO_ODDS, self.counts)
        return BucketMedium(self.rng, self.turns, self.processes, calm, self.promises.disputed)

    def _odds_of_actions(self) -> tuple[list[Callable[[], None]], list[int]]:
        """What may happen, and how likely; each seed leaves some things out. Where pieces are to end, more is done."""
        rng, speed = self.rng, 3 if self.pieces else 1
        usual: dict[Callable[[], None], int] = {
            self._write: rng.choice((10, 30)),
            self._step: 40 * speed,
            self._encode: 15 * speed,
            self._thread: rng.choice((40, 120)) * speed,
            self._tick: 15,
            self._command: rng.choice((1, 3, 10)),
            self._recycle: 6,
            self._save: 5,
            self._switch: rng.choice((10, 40)) if self.pieces else 0,
        }
        seldom: dict[Callable[[], None], int] = {
            self._jump: 1,
            self._set_back: 1,
            self._change_weather: 3,
            self._silence: 1,
            self._plan_crash: 3,
            self._crash_worker: 1,
            self._crash_service: 1,
            self._cancel: 1,
            self._probe: 3,
            self._read_on: 5,
        }
        if isinstance(self.medium, BucketMedium):
            seldom |= {self._jump: 3, self._deliver: 5}
            seldom |= {self._pause_worker: 10, self._wake_ghost: 120, self._end_ghost: 1}
        chosen = {action: weight * rng.choice((0, 0, 1, 2)) for action, weight in seldom.items()}
        weights = usual | chosen
        return list(weights), list(weights.values())

    def _turn(self) -> None:
        if self.service.round.round_id == 0:
            self._start()
        if self.rng.random() < self.clearing:  # trouble passes
            self.faults.weather, self.engine.is_silent = None, False
        if self.service.wants_launch and self.rng.random() < 0.5:
            self._do(self.service.launch)
        else:
            self._do(self.rng.choices(self._actions, self._weights)[0])

    def _do(self, action: Callable[[], None]) -> None:
        self.trace(f"{self.turns.now:.1f} {action.__name__.lstrip('_')}")
        try:
            action()
            if self.rng.random() < self.hearing:
                self._hear()
        except CrashError:
            self.faults.is_dead = True
        if self.faults.is_dead:
            self._after_crash()

    def _begin_life(self) -> None:
        """A new service with a new worker."""
        self.faults.is_dead = False
        self.born_scn = self.engine.end.scn  # clocks may differ, but by less than it takes to start
        self._begin_worker()
        self.service = Service(self.catalog, self.promises, self.engine, self.medium.uri, self._tell, self.counts)

    def _begin_worker(self) -> None:
        codec = self.rng.choice(_CODECS)
        process = self.processes.begin(self.machine, self.faults)
        self.worker = Worker(process, self.medium, self.turns, self.rng, self.seal, self.engine, self.promises, codec)

    def _tell(self, command: Command) -> None:
        self.trace(f"  -> {command}")
        self.worker.tell(command)

    def _hear(self) -> None:
        events, self.worker.said = self.worker.said, []
        for event in events:
            self.trace(f"  <- {event}")
            self.service.apply_event(event, self.turns.now)
        if any(isinstance(event, _PROMISES) for event in events) and self.rng.random() < self.doubt:
            self._probe()  # what has just been promised is what may not be true yet

    # what happens

    def _write(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.engine.append(self.rng.choice((b"log", b"\0\xff", b"redo-")) * self.rng.randint(1, self.group // 4))

    def _step(self) -> None:
        self._step_of(self.worker)

    def _step_of(self, worker: Worker) -> None:
        with self.processes.running(worker.process):
            worker.step()

    def _encode(self) -> None:
        self._encode_of(self.worker)

    def _encode_of(self, worker: Worker) -> None:
        if waiting := worker.encoders.waiting:
            worker.encoders.run(self.rng.randrange(len(waiting)))

    def _thread(self) -> None:
        """One of the worker's threads goes on; also one whose round has ended."""
        self._thread_of(self.worker)

    def _thread_of(self, worker: Worker) -> None:
        busy = [thread for thread in worker.process.threads if not thread.is_idle]
        if busy:
            with self.processes.running(worker.process):
                self.rng.choice(busy).run()

    def _tick(self) -> None:
        self.turns.now += self.rng.choice(self.ticks)
        self.medium.pass_time()

    def _jump(self) -> None:
        self.counts["time jump"] += 1
        self.turns.now += 10_000
        self.medium.pass_time()

    def _save(self) -> None:
        if self.service.hole is not self.catalog.hole and self.rng.random() < 0.2:
            self.counts["service killed when only the hole was saved"] += 1
            self.catalog.hole = self.service.hole
            raise CrashError
        self.service.save()

    def _recycle(self) -> None:
        self.engine.recycle()

    def _command(self) -> None:
        """Somebody, or the service by itself, asks for something."""
        service, now = self.service, self.service.round
        if now.is_archiving:
            backlog = self.engine.end.lsn - max(self.promises.durable.get(now.round_id, 0), self.engine.first_lsn)
            if backlog > self.limit:
                self.counts["broken by the valve"] += 1
                service.interrupt(f"{backlog} bytes of log waited", self.turns.now)
            elif self.rng.random() < 0.08:
                service.stop()
            elif self.rng.random() < 0.2:
                self.engine.minor_freeze()
            else:
                service.flush()
        elif now.status is RoundStatus.INTERRUPTED and self.rng.random() < 0.5:
            service.stop()
        elif now.status is RoundStatus.STOP:
            self.engine.minor_freeze()
            self._start()

    def _start(self) -> None:
        self.service.start(has_pieces=self.rng.random() < self.pieces)

    def _switch(self) -> None:
        """The time of a piece is over, whether or not the log has come so far."""
        if not rounds.may_switch(self.service.round):
            return
        self.counts["switched"] += 1
        self.service.switch(max(self.born_scn + 1, self.engine.end.scn + self.rng.choice((-30, -5, 0, 1, 8, 40))))
        if self.rng.random() < 0.1:
            self.counts["service killed before it told of a switch"] += 1
            raise CrashError
        self.service.tell_switch()

    def _set_back(self) -> None:
        """The engine is restored to an earlier state, and goes on differently."""
        self.counts["set back"] += 1
        self.engine.set_back(self.rng.randint(1, 6))
        self.service.set_back(self.engine.end.lsn)

    def _change_weather(self) -> None:
        self.faults.weather = self.rng.choice(list(WEATHERS))
        self.counts[f"weather {errno.errorcode[self.faults.weather]}"] += 1

    def _silence(self) -> None:
        self.counts["engine silent"] += 1
        self.engine.is_silent = True

    def _plan_crash(self) -> None:
        calls = self.rng.randint(0, self.rng.choice((5, 30, 100, 300)))
        self.faults.crash_after(calls, done=self.rng.random() < 0.5)

    def _crash_worker(self) -> None:
        """The worker alone dies; the service lives, and tells the next one."""
        self.counts["worker killed"] += 1
        self._end_worker()
        self._begin_worker()
        self.service.worker_started()

    def _cancel(self) -> None:
        """CANCEL ALL BACKUP FORCE ends the round and the worker with it."""
        if self.service.round.status is not RoundStatus.STOP:
            self.counts["cancelled"] += 1
            self._crash_worker()
            self.service.cancel()

    def _crash_service(self) -> None:
        self.counts["service killed"] += 1
        raise CrashError

    def _end_worker(self) -> None:
        self.faults.is_dead = True
        with self.processes.running(self.worker.process):
            self.worker.kill()
        self.medium.end_process()
        self.faults.is_dead = False

    def _deliver(self) -> None:
        """A request arrives that nobody waits for any more."""
        assert isinstance(self.medium, BucketMedium)
        if under_way := self.medium.now.under_way:
            self.counts["request arrived late"] += 1
            self.medium.now.deliver(self.rng.randrange(len(under_way)))

    def _pause_worker(self) -> None:
        """The worker's machine stands still, and the cluster goes on on another one."""
        if self.ghost is not None or not any(
            thread.is_under_way for thread in self.worker.process.threads if thread.name.startswith(self.pausing)
        ):
            return
        self.counts["worker paused"] += 1
        self.ghost, self.faults = self.worker, self.faults.of_another()
        self.ghost.process.has_service = False
        self.machine = f"machine-{self.counts['worker paused'] + 1}"
        self._begin_worker()
        self.service.worker_started()
        if self.sleeps_long:
            self.turns.now += TERM
            self.medium.pass_time()
        self._taken_over = self._takeovers()

    def _takeovers(self) -> int:
        assert isinstance(self.medium, BucketMedium)
        return sum("/takeover-" in name for name in self.medium.now.objects)

    def _wake_ghost(self) -> None:
        """The machine that stood still goes on a little, and nobody hears what its worker says."""
        if self.ghost is None or (self.sleeps_long and self._takeovers() == self._taken_over):
            return
        self.counts["paused worker went on"] += 1
        try:
            self.rng.choice((self._step_of, self._encode_of, self._thread_of, self._thread_of))(self.ghost)
        except CrashError:
            self._end_ghost()
            return
        if self.ghost.process.fate.is_dead:
            self._end_ghost()

    def _end_ghost(self) -> None:
        if self.ghost is not None:
            ghost, self.ghost = self.ghost, None
            ghost.process.fate.is_dead = True
            with self.processes.running(ghost.process):
                ghost.kill()

    def _after_crash(self) -> None:
        self._end_worker()
        self.counts["lives"] += 1
        if self.rng.random() < 0.5:
            self.counts["power loss"] += 1
            self.trace("  power loss")
            self.medium.lose_power()
            self._reader = None
        self._begin_life()
        for found in self._check(self.medium.now).values():
            self._count_state(found)

    def _count_state(self, found: Round) -> None:
        """How far the last switch of a round had come."""
        last, promises = found.pieces[-1], self.promises
        switch_scn = promises.switches.get(last.key)
        if switch_scn is not None and last.end_scn >= switch_scn and "single_piece_info" not in last.records:
            self.counts["life ended between cut and next claim"] += 1
        if len(found.pieces) > 1 and "single_piece_info" not in found.pieces[-2].records:
            what = "log" if last.log else "claim"
            self.counts[f"life ended between next {what} and manifest"] += 1
        if "single_piece_info" in last.records and last.key in promises.switches:
            self.counts["life ended between manifest and next claim"] += 1

    # the verdict

    def _probe(self) -> None:
        """Look at what would be there if the power were lost now."""
        self.counts["power loss, looked at"] += 1
        self._check(self.medium.as_it_may_be())

    def _check(self, disk: Any) -> dict[int, Round]:
        found = self.checker.check(disk, self.engine.histories())
        self.counts["checks"] += 1
        if self.rng.random() < 0.2:
            for number, each in found.items():
                with self.medium.reading(disk) as destination:
                    compare(number, destination, each.log)
        return found

    def _read_on(self) -> None:
        """Somebody else reads the archive, object by object, while it is being written."""
        with self.medium.reading(self.medium.now) as destination:
            if self._reader is None:
                number = self.rng.randint(1, max(1, self.service.round.round_id))
                self._reader = reading(number, destination, self.promises, self.engine, self.counts)
            if next(self._reader, self) is self:
                self._reader = None

    def _to_the_end(self) -> None:
        """The round is stopped; soon at the latest everything goes well, and it must come to its end."""
        self.faults.weather = self.faults.calls_to_crash = None
        self.engine.is_silent = False
        heals_at, patience = self.rng.choice((0, 60)), self.rng.choice((30, 30, _TO_BE_FLUSHED))
        if self.rng.random() < 0.2:
            self._do(self._crash_service)
        self.ticks = self.medium.ticks
        calm: list[Callable[[], None]] = [self._step, self._encode, self._thread, self._tick]
        for turn in range(_TO_THE_END):
            if turn == heals_at:
                self.faults.heal()
                self._end_ghost()
            now = self.service.round
            if now.status is RoundStatus.STOP:
                break
            if self.service.wants_launch:
                self._do(self.service.launch)
            elif now.status is not RoundStatus.STOPPING and (turn > patience or not self.service.flushes):
                if now.is_archiving:
                    if patience == _TO_BE_FLUSHED and self.service.flushes:
                        raise ViolationError(f"a flush in round {now.round_id} is never answered")
                    self.counts["stopped in order"] += 1
                self._do(self.service.stop)
            for action in calm if turn % 3 == 0 else calm[:3]:
                self._do(action)
        else:
            now = self.service.round
            raise ViolationError(f"round {now.round_id} does not come to its end in {now.status}")
        self._check(self.medium.now)
