"""Crashes at any step: the archive is always a prefix of the log, and holds all that was reported as durable."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.archive.store import PieceStore
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import Event, PieceProgress, PieceStopped
from tests.archive.fakes import (
    PATH,
    TASK,
    Clock,
    CrashError,
    MemoryDestination,
    MemoryLog,
    PatientExecutor,
    archived,
    random_log,
    small_resources,
)

GROUP_SIZES = st.lists(st.integers(1, 60), max_size=8)
CODECS = st.sampled_from(["none", "lz4_1.0", "zstd_1.3.8"])


class Countdown:
    """Crashes at the n-th operation of a destination, before it or right after a put."""

    def __init__(self, operations: int, *, after: bool) -> None:
        self.left = operations
        self.after = after

    def before_each(self, _operation: str, _name: str) -> None:
        """Count, and crash."""
        self.left -= 1
        if self.left < 0 and not self.after:
            raise CrashError

    def after_put(self, _name: str) -> None:
        """Crash, and nobody learns that the object is there."""
        if self.left < 0 and self.after:
            raise CrashError


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are merged when there are three, whatever their age."""
    for module in ("merging", "merger"):
        monkeypatch.setattr(f"redoubt.archiver.{module}.MANY", 3)
        monkeypatch.setattr(f"redoubt.archiver.{module}.NEWEST", 1)
        monkeypatch.setattr(f"redoubt.archiver.{module}.SPAN", 0.0)


def reported(events: list[Event]) -> int:
    """The LSN up to which these events say that the log is durable."""
    return max((event.lsn for event in events if isinstance(event, PieceProgress)), default=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lives=st.lists(st.tuples(GROUP_SIZES, st.integers(0, 40), st.booleans(), CODECS), max_size=5), end=GROUP_SIZES)
def test_a_crash_at_any_operation_loses_and_doubles_nothing(
    lives: list[tuple[list[int], int, bool, str]], end: list[int]
) -> None:
    """Over several lives of the process, each ended by a crash, and a last one that stops in order."""
    log, destination, durable = MemoryLog(), MemoryDestination(), 0
    for sizes, operations, after, codec in lives:
        countdown = Countdown(operations, after=after)
        destination.failing, destination.lost_answer = countdown.before_each, countdown.after_put
        log.append(*[random_log(size, len(log.groups)) for size in sizes])
        events: list[Event] = []
        try:
            job = PieceJob(TASK, log, destination, small_resources(codec=lambda codec=codec: codec))
            clock = job._resources.clock
            assert isinstance(clock, Clock)
            for _ in range(12):
                clock.now += 0.4
                events += job.step()[1]
        except CrashError:
            pass
        durable = max(durable, reported(events))
        held = archived(destination)
        destination.locks.clear()

        assert log.data.startswith(held)
        assert durable <= len(held)
    log.append(*[random_log(size, len(log.groups)) for size in end])
    job, events = PieceJob(TASK, log, destination, small_resources()), []
    job.stop(10)
    while not job.ended:
        events += job.step()[1]

    assert events[-1] == PieceStopped(TASK.tenant_id, TASK.round, "")
    assert log.data == archived(destination)
    assert len(log.data) == reported(events)
    assert PieceStore(destination, PATH).listing().covered == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_crash_between_threads_loses_and_doubles_nothing(data: st.DataObject) -> None:
    """Encoders finish in any order, the storer when it likes, and the process is gone at any moment."""
    log, destination, durable = MemoryLog(), MemoryDestination(), 0
    for _life in range(3):
        clock, encoders, storer, merger = Clock(), PatientExecutor(), PatientExecutor(), PatientExecutor()
        resources = small_resources(clock=clock, encoders=encoders, storer=storer, merger=merger)
        job = PieceJob(TASK, log, destination, resources)
        for action in data.draw(st.lists(st.sampled_from("wesstm"), max_size=35)):
            if action == "w":
                log.append(*[random_log(size, len(log.groups)) for size in data.draw(GROUP_SIZES)])
            elif action == "e" and encoders.waiting:
                encoders.run_one(data.draw(st.integers(0, len(encoders.waiting) - 1)))
            elif action == "s" and storer.is_ready():
                storer.run_one()
            elif action == "m" and merger.waiting:
                merger.run_one()
            elif action == "t":
                clock.now += 0.5
                durable = max(durable, reported(job.step()[1]))
        held = archived(destination)
        destination.locks.clear()

        assert log.data.startswith(held)
        assert durable <= len(held)
