"""A writer whose lock is a lease: it runs out, others take it, and the log stays one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from redoubt.archive.inventory import run_of
from redoubt.archive.layout import PieceInfo
from redoubt.archive.store import PieceStore
from redoubt.archiver.guarding import ContinuedError
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import Event, Flushed, HoleClosed, PieceProgress, PieceStopped
from redoubt.model.seams import DestinationError, Lock, LockedError
from tests.archive.fakes import PATH, TASK, MemoryDestination, MemoryLog, log_in, random_log, small_resources


class Leases(MemoryDestination):
    """A destination with leases in place of locks."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:
        """See `Destination`."""
        if name in self.locks:
            raise LockedError(f"{name} is held by {self.locks[name]}")
        self.epoch = max(self.epoch, after) + 1
        self.locks[name] = holder
        return _Lease(self, name, self.epoch)

    def expire(self) -> None:
        """The present leases run out."""
        self.locks.clear()


@dataclass
class _Lease:
    """A lease of `Leases`."""

    leases: Leases
    name: str
    epoch: int

    def is_in_place(self) -> bool:
        """See `Lock`."""
        return self.name in self.leases.locks and self.leases.epoch == self.epoch

    def release(self) -> None:
        """See `Lock`."""
        if self.is_in_place():
            del self.leases.locks[self.name]


@pytest.fixture
def leases() -> Leases:
    """An empty destination."""
    return Leases()


@pytest.fixture
def log() -> MemoryLog:
    """A log with one segment in it."""
    found = MemoryLog()
    found.append(random_log(40))
    return found


def begun(leases: Leases, log: MemoryLog) -> PieceJob:
    """A job for the piece."""
    return PieceJob(TASK, log, leases, small_resources())


def run(job: PieceJob, steps: int = 20) -> list[Event]:
    """What a job says in some steps."""
    said: list[Event] = []
    for _ in range(steps):
        if not job.ended:
            job._resources.clock.now += 1.0  # type: ignore[attr-defined]
            said += job.step()[1]
    return said


def names(leases: Leases) -> list[str]:
    """The segments that count, without the zeros: start, end, epoch, M if it is merged."""
    found = (name for name, _ in PieceStore(leases, PATH).segments())
    return [f"{name.start_lsn}-{name.end_lsn} e{name.epoch}{' M' * name.is_merged}" for name in found]


def test_a_writer_goes_on_that_takes_its_lease_again(leases: Leases, log: MemoryLog) -> None:
    """Nobody else was there; what it stores from now on has the new epoch, and all of it may be merged."""
    job = begun(leases, log)
    run(job)
    leases.expire()
    log.append(random_log(40))
    run(job)
    between = names(leases)
    job.stop(20.0)
    run(job)

    assert between == ["0-40 e1", "40-80 e2"]
    assert names(leases) == ["0-80 e2 M"]
    assert log_in(PieceStore(leases, PATH)) == log.data


def test_a_former_writers_segments_are_not_merged(leases: Leases, log: MemoryLog) -> None:
    """That writer may have been paused in the midst of merging them."""
    log.append(random_log(40))
    first = begun(leases, log)
    run(first)
    leases.expire()
    log.append(random_log(40), random_log(40))
    second = begun(leases, log)
    second.stop(20.0)
    run(second)

    assert names(leases) == ["0-40 e1", "40-80 e1", "80-160 e2 M"]


def test_a_piece_that_another_process_opened_is_opened_again(leases: Leases, log: MemoryLog) -> None:
    """The next job knows what the former one was asked for."""
    first = begun(leases, log)
    run(first)
    leases.expire()
    log.append(random_log(50))
    other = begun(leases, log)
    run(other)
    leases.expire()
    log.append(random_log(60))
    first.flush(7)
    first.stop(20.0)
    with pytest.raises(ContinuedError, match="was opened by another process"):
        run(first)
    first.abandon()
    again = begun(leases, log)
    first.hand_over(again)
    said = run(again)

    assert first.ended
    assert any(isinstance(event, Flushed) and event.number == 7 for event in said)
    assert [event.text for event in said if isinstance(event, PieceStopped)] == [""]
    assert names(leases) == ["0-40 e1", "40-90 e2", "90-150 e4"]
    assert log_in(PieceStore(leases, PATH)) == log.data


def test_leases_that_were_removed_are_counted_on_from_the_names(leases: Leases, log: MemoryLog) -> None:
    """Somebody has deleted the objects of the leases: a writer's epoch is higher than all that are seen even so."""
    first = begun(leases, log)
    run(first)
    leases.expire()
    leases.epoch = 0
    log.append(random_log(40))
    second = begun(leases, log)
    run(second)

    assert names(leases) == ["0-40 e1", "40-80 e2"]


def test_a_listing_that_misses_everything_deletes_nothing(leases: Leases, log: MemoryLog) -> None:
    """The next writer begins at the wrong place; what it does not hold itself stays where it is."""
    run(begun(leases, log))
    leases.expire()
    there, leases.objects = leases.objects, {}
    leases.put_if_absent(PATH.info, there[PATH.info])
    second = begun(leases, MemoryLog())
    run(second)
    leases.objects |= there
    second.stop(20.0)
    run(second)

    assert [name for name in leases.objects if name.endswith(".e1.redo")] == [f"{PATH.folder}/{0:020}-{40:020}.e1.redo"]


def test_log_is_not_reported_whose_lease_ran_out_under_its_put(leases: Leases, log: MemoryLog) -> None:
    """Another writer may have begun meanwhile; here nobody has, so it is stored once more."""
    lapsed: list[str] = []

    def lapse(operation: str, name: str) -> None:
        if operation == "put" and name.endswith(".redo") and not lapsed:
            lapsed.append(name)
            leases.expire()

    leases.failing = lapse
    said = run(begun(leases, log))

    assert lapsed[0].endswith(".e1.redo")
    assert names(leases) == ["0-40 e2"]
    assert max(event.lsn for event in said if isinstance(event, PieceProgress)) == 40


def test_a_manifest_that_comes_late_counts_for_nobody(leases: Leases, log: MemoryLog) -> None:
    """Neither for a reader nor for who freezes the piece: the log goes on behind its end."""
    first = begun(leases, log)
    first.stop(20.0)
    run(first)
    late = leases.objects.pop(PATH.manifest)
    log.append(random_log(50))
    second = begun(leases, log)
    run(second)
    leases.objects[PATH.manifest] = late
    store = PieceStore(leases, PATH)
    seen, held = store.manifest(), run_of(TASK.key, store, store.record(PieceInfo, PATH.info))
    second.stop(20.0)
    run(second)
    manifest = store.manifest()

    assert seen is None
    assert held is not None
    assert held.end_lsn == 90
    assert manifest is not None
    assert manifest.piece.end_lsn == 90


def test_a_hole_is_retried_with_its_own_lease(leases: Leases, log: MemoryLog) -> None:
    """The round before is frozen by the next one, at the second attempt."""
    run(begun(leases, log))
    leases.expire()
    failures = ["once"]

    def fail(operation: str, name: str) -> None:
        if operation == "put" and name == PATH.manifest and failures:
            raise DestinationError(failures.pop())

    leases.failing = fail
    log.append(random_log(50))
    task = replace(TASK, round=4, after=3, start_lsn=40)
    said = run(PieceJob(task, log, leases, small_resources()), 60)

    assert failures == []
    assert [event.after for event in said if isinstance(event, HoleClosed)] == [3]
    assert PieceStore(leases, PATH).manifest() is not None
