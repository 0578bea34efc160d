"""Holes between rounds: measured in the destination, recorded once, and told again after a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from redoubt.archive.layout import ClusterPath, HoleInfo, Interruption
from redoubt.archive.store import PieceStore
from redoubt.archiver.holes import Hole
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import (
    Event,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
)
from redoubt.model.pieces import PieceKey
from tests.archive.fakes import OF, PATH, TASK, CrashError, MemoryDestination, MemoryLog, random_log, small_resources

NEXT = replace(TASK, round=4, after=3, start_lsn=None)
NEXT_PATH = ClusterPath(OF.cluster, OF.cluster_id).piece(OF.tenant_id, PieceKey(4))
NOW = 1_700_000_000_000_000_000
CAUSE = "the engine recycled the log"


def run(job: PieceJob, steps: int = 12) -> list[Event]:
    """The events of some steps."""
    events: list[Event] = []
    for _ in range(steps):
        if not job.ended:
            job._resources.clock.now += 0.06  # type: ignore[attr-defined]
            events += job.step()[1]
    return events


def grown(log: MemoryLog, groups: int = 4) -> MemoryLog:
    """The log, and some more of it."""
    log.append(*[random_log(20, len(log.groups) + number) for number in range(groups)])
    return log


def stopped_round(destination: MemoryDestination, log: MemoryLog, **changes: Any) -> list[Event]:
    """Round 3 from its beginning to its end."""
    job = PieceJob(replace(TASK, **changes), log, destination, small_resources())
    run(job)
    job.stop(10)
    return run(job)


def next_round(destination: MemoryDestination, log: MemoryLog, start_lsn: int, **changes: Any) -> PieceJob:
    """Round 4, begun at a place in the log."""
    task = replace(NEXT, start_lsn=start_lsn, **changes)
    later = MemoryLog()
    later.groups = [group for group in log.groups if group.start.lsn >= start_lsn]
    return PieceJob(task, later, destination, small_resources())


@pytest.fixture
def destination() -> MemoryDestination:
    """An empty destination."""
    return MemoryDestination()


def closed(events: list[Event]) -> list[HoleClosed]:
    """What was told of holes."""
    return [event for event in events if isinstance(event, HoleClosed)]


def test_an_interruption_is_put_on_record(destination: MemoryDestination) -> None:
    """Where the round ends, when and why; told again when it is there already; then the round waits to be stopped."""
    log = grown(MemoryLog())
    job = PieceJob(TASK, log, destination, small_resources())
    run(job)
    job.abandon()
    broken = replace(TASK, start_lsn=None, broken_by=CAUSE, broken_at=77)
    opened = HoleOpened(1001, 3, 80, 400)
    for _ in range(2):
        job = PieceJob(broken, grown(log), destination, small_resources())
        events = run(job)
        job.abandon()

        assert opened in events
        assert not job._archival

    record = PieceStore(destination, PATH).record(Interruption, PATH.interruption)
    assert record == Interruption(1001, 3, OF.source, 80, 400, 77, CAUSE)
    job = PieceJob(broken, log, destination, small_resources())
    job.stop(10)
    assert run(job)[-1] == PieceStopped(1001, 3, "")
    manifest = PieceStore(destination, PATH).manifest()
    assert manifest is not None
    assert (manifest.piece.end_lsn, manifest.piece.broken_by) == (80, CAUSE)
    job = PieceJob(broken, log, destination, small_resources())
    assert opened in run(job)


def test_a_round_does_not_go_on_after_its_interruption(destination: MemoryDestination) -> None:
    """Also if the service was killed before its catalog knew; it is told the cause that is on record."""
    log = grown(MemoryLog())
    for task in (TASK, replace(TASK, broken_by=CAUSE, broken_at=77)):
        job = PieceJob(task, log, destination, small_resources())
        run(job)
        job.abandon()
    job = PieceJob(TASK, grown(log), destination, small_resources())

    assert run(job) == [PieceBroken(1001, 3, CAUSE)]


def test_a_broken_round_that_is_damaged_waits_with_its_trouble(destination: MemoryDestination) -> None:
    """Where it ends cannot be said; it can be stopped."""
    stopped_round(destination, grown(MemoryLog()))
    destination.objects[PATH.info] = b"{"
    job = PieceJob(replace(TASK, broken_by=CAUSE), MemoryLog(), destination, small_resources())
    events = run(job)
    job.stop(10)
    ending = run(job)

    assert isinstance(events[0], PieceTrouble)
    assert "round_info is damaged" in events[0].text
    assert len(events) == 1
    assert [PieceStopped(1001, 3, events[0].text)] == ending


def test_a_finished_round_is_not_archived_on(destination: MemoryDestination) -> None:
    """A worker that was killed between the manifest and the answer is told everything again."""
    log = grown(MemoryLog())
    stopped_round(destination, log)
    before = dict(destination.objects)
    job = PieceJob(replace(TASK, start_lsn=None), grown(log), destination, small_resources())
    running = run(job)
    job.stop(10)

    assert [type(event) for event in running] == [PieceProgress]
    assert run(job) == [PieceStopped(1001, 3, "")]
    assert before == destination.objects


def test_the_hole_after_a_stop_is_recorded(destination: MemoryDestination) -> None:
    """From the last group of the one round to the first of the other; told again by the next job."""
    log = grown(MemoryLog())
    stopped_round(destination, log)
    grown(log)
    job = next_round(destination, log, 120)
    expected = HoleClosed(1001, 4, 3, 80, 400, 120, 700)
    first = closed(run(job))
    job.abandon()
    second = closed(run(next_round(destination, log, 120)))
    record = PieceStore(destination, NEXT_PATH).record(HoleInfo, NEXT_PATH.hole)

    assert first == second == [expected]
    assert record == HoleInfo(1001, 4, 3, 80, 400, 120, 700, NOW, "archiving was stopped")


def test_a_round_that_goes_on_where_the_other_ended_has_no_hole(destination: MemoryDestination) -> None:
    """Or reaches back behind it: nothing is recorded."""
    log = grown(MemoryLog())
    stopped_round(destination, log)
    grown(log)
    expected = HoleClosed(1001, 4, 3, 80, 400, 60, 400)

    assert [expected] == closed(run(next_round(destination, log, 60)))
    assert NEXT_PATH.hole not in destination.objects


def test_an_interrupted_round_is_frozen_by_the_next(destination: MemoryDestination) -> None:
    """Its worker was gone before it could be; the hole has its cause and time, and the round before its manifest."""
    log = grown(MemoryLog())
    for task in (TASK, replace(TASK, broken_by=CAUSE, broken_at=77)):
        job = PieceJob(task, log, destination, small_resources())
        run(job)
        job.abandon()
    grown(log)

    assert [HoleClosed(1001, 4, 3, 80, 400, 100, 600)] == closed(run(next_round(destination, log, 100)))
    record = PieceStore(destination, NEXT_PATH).record(HoleInfo, NEXT_PATH.hole)
    assert (record.since, record.cause) == (77, CAUSE)
    assert PieceStore(destination, PATH).manifest() is not None
    assert f"{PATH.lock}" not in destination.locks


def test_the_round_before_is_waited_for_while_it_has_a_writer(destination: MemoryDestination) -> None:
    """The new round is archived meanwhile."""
    log = grown(MemoryLog())
    before = PieceJob(TASK, log, destination, small_resources())
    run(before)
    grown(log)
    job = next_round(destination, log, 100)
    events = run(job)
    before.abandon()
    job._resources.clock.now += 1  # type: ignore[attr-defined]
    later = run(job)

    assert any(isinstance(event, PieceProgress) and event.lsn == 140 for event in events)
    assert closed(events) == []
    assert closed(later) == [HoleClosed(1001, 4, 3, 80, 400, 100, 600)]


def test_another_engines_log_has_no_hole_in_common(destination: MemoryDestination) -> None:
    """Its LSNs mean something else."""
    stopped_round(destination, grown(MemoryLog()), source="engine-z")
    log = grown(MemoryLog(), 8)

    assert [HoleClosed(1001, 4, 3, 120, 700, 120, 700)] == closed(run(next_round(destination, log, 120)))


def test_a_round_that_never_came_to_be_leaves_no_hole(destination: MemoryDestination) -> None:
    """It was stopped before the destination took anything of it."""
    log = grown(MemoryLog())

    assert [HoleClosed(1001, 4, 3, 20, 200, 20, 200)] == closed(run(next_round(destination, log, 20)))


def test_the_hole_after_a_round_without_log_begins_where_that_began(destination: MemoryDestination) -> None:
    """At its claim's LSN and SCN."""
    stopped_round(destination, MemoryLog())
    log = grown(MemoryLog())

    assert [HoleClosed(1001, 4, 3, 0, 50, 20, 200)] == closed(run(next_round(destination, log, 20)))


def test_a_damaged_round_before_is_a_complaint_and_not_the_end(destination: MemoryDestination) -> None:
    """The new round is archived; why the hole is not on record is said when it lasts."""
    log = grown(MemoryLog())
    stopped_round(destination, log)
    destination.objects[PATH.manifest] = b"{"
    job = next_round(destination, log, 60)
    events = run(job)
    for _ in range(30):
        job._resources.clock.now += 1  # type: ignore[attr-defined]
        events += job.step()[1]
    troubles = [event.text for event in events if isinstance(event, PieceTrouble)]

    assert len(troubles) == 1
    assert troubles[0].startswith("the end of round 3 cannot be recorded: ")
    assert "single_piece_info is damaged" in troubles[0]
    assert not job.ended


def test_a_crash_at_any_operation_leaves_the_same_record(destination: MemoryDestination) -> None:
    """Of the freezing and of the hole."""
    log = grown(MemoryLog())
    job = PieceJob(TASK, log, destination, small_resources())
    run(job)
    job.abandon()
    grown(log)
    for operations in range(60):
        left = operations

        def crash(_operation: str, _name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError

        destination.failing = crash
        try:
            done = closed(run(next_round(destination, log, 100)))
        except CrashError:
            done = []
        destination.locks.clear()
    record = PieceStore(destination, NEXT_PATH)

    assert done == [HoleClosed(1001, 4, 3, 80, 400, 100, 600)]
    destination.failing = lambda *_: None
    assert record.record(HoleInfo, NEXT_PATH.hole).start_lsn == 80


def test_a_hole_is_asked_for_only_after_another_round(destination: MemoryDestination) -> None:
    """A first round has none before it."""
    with pytest.raises(AssertionError):
        Hole(TASK, PieceStore(destination, PATH), "me", lambda: NOW)


def test_a_round_that_was_broken_before_it_told_of_the_hole_tells_of_it(destination: MemoryDestination) -> None:
    """The worker was killed right after its first segment, and the round was interrupted before there was another."""
    log = grown(MemoryLog())
    stopped_round(destination, log)
    end = log.end.lsn
    start = grown(log).end.lsn
    grown(log)
    job = next_round(destination, log, start)
    while not any(path.startswith(NEXT_PATH.folder) and path.endswith(".redo") for path in destination.objects):
        job._resources.clock.now += 2  # type: ignore[attr-defined]
        job.step()
    job.abandon()
    destination.objects.pop(NEXT_PATH.hole, None)
    broken = PieceJob(replace(NEXT, broken_by=CAUSE, broken_at=77), MemoryLog(), destination, small_resources())
    (hole,) = closed(run(broken))

    assert (hole.start_lsn, hole.end_lsn) == (end, start)
    assert NEXT_PATH.hole in destination.objects
