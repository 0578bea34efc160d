"""A round as the worker carries it out: opening, archiving, trouble, and the ways in which it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from redoubt.archive.layout import PieceInfo
from redoubt.archive.record import dump_record
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import PieceStore
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import (
    Event,
    Flushed,
    PieceBroken,
    PieceFreezing,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
)
from redoubt.model.seams import DestinationError
from tests.archive.fakes import (
    PATH,
    TASK,
    Clock,
    MemoryDestination,
    MemoryLog,
    PatientExecutor,
    archived,
    down,
    random_log,
    small_resources,
    until,
)

INFO = PieceInfo(
    identity="f00d", tenant_id=1001, tenant="main", source="engine-a", round=3, piece=0, start_lsn=0, start_scn=50
)


@pytest.fixture
def destination() -> MemoryDestination:
    """An empty destination."""
    return MemoryDestination()


@pytest.fixture
def log() -> MemoryLog:
    """A log of two segments and a bit."""
    log = MemoryLog()
    log.append(*[random_log(20, seed) for seed in range(4)], b"a bit")
    return log


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """A storer with a thread of its own."""
    with ThreadPoolExecutor(1) as storer:
        yield storer


def steps(job: PieceJob, number: int = 5) -> list[Event]:
    """The events of several steps, between which a little time passes if the clock is a hand clock."""
    events: list[Event] = []
    for _ in range(number):
        if not job.ended:
            if isinstance(job._resources.clock, Clock):
                job._resources.clock.now += 0.06
            events += job.step()[1]
    return events


def test_a_fresh_round_is_claimed_and_archived(destination: MemoryDestination, log: MemoryLog) -> None:
    """Its progress is told when it is durable, its beginning as well."""
    job = PieceJob(TASK, log, destination, small_resources())
    more, events = job.step()
    later = steps(job)
    sizes = [len(destination.objects[name]) for name in destination.stored[1:]]

    assert more
    assert [PieceProgress(1001, 3, 0, 0, 0, 0, 0)] == events
    assert [PieceProgress(1001, 3, 80, 400, 80, sum(sizes), 2)] == later
    assert dump_record(INFO, indent=2) == destination.objects[PATH.info]


def test_a_round_goes_on_where_the_destination_ends(destination: MemoryDestination, log: MemoryLog) -> None:
    """Though the new worker was told another place to begin at."""
    steps(PieceJob(TASK, log, destination, small_resources()))
    destination.locks.clear()
    job = PieceJob(replace(TASK, start_lsn=None), log, destination, small_resources())
    job.stop(10)
    events = steps(job)

    assert isinstance(events[0], PieceProgress)
    assert (events[0].lsn, events[0].scn, events[0].segments) == (80, 400, 2)
    assert events[-1] == PieceStopped(1001, 3, "")
    assert log.data == archived(destination)


def test_opening_does_not_hold_up_a_step(destination: MemoryDestination, log: MemoryLog) -> None:
    """Nothing is read before the destination has answered."""
    storer = PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(storer=storer))
    before = job.step()
    storer.run_all()
    job.step()

    assert before == (False, [])
    assert log.reads > 0


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (replace(INFO, identity="beef"), "belongs to another cluster"),
        (replace(INFO, source="engine-b"), "belongs to another engine's log"),
    ],
)
def test_a_round_of_another_is_broken_at_once(
    destination: MemoryDestination, log: MemoryLog, claim: PieceInfo, text: str
) -> None:
    """Nothing is written, and the text says why."""
    destination.objects[PATH.info] = dump_record(claim)
    job = PieceJob(TASK, log, destination, small_resources())
    _, (event,) = job.step()

    assert isinstance(event, PieceBroken)
    assert text in event.text
    assert job.ended
    assert log.is_closed
    assert destination.stored == []


def test_another_history_breaks_the_round(destination: MemoryDestination, log: MemoryLog) -> None:
    """A restored engine's log does not continue the archive, and nothing of it is archived."""
    steps(PieceJob(TASK, log, destination, small_resources()))
    before = archived(destination)
    destination.locks.clear()
    other = MemoryLog()
    other.append(*[random_log(20, seed + 100) for seed in range(6)])
    events = steps(PieceJob(TASK, other, destination, small_resources()))

    assert isinstance(events[-1], PieceBroken)
    assert "does not continue what was read before" in events[-1].text
    assert before == archived(destination)


def test_progress_before_a_break_is_told(destination: MemoryDestination, log: MemoryLog) -> None:
    """The figures of a broken round are true."""
    job = PieceJob(TASK, log, destination, small_resources())
    destination.objects[PATH.segment(SegmentName(40, 80, ".redo"))] = b"in the way"
    events = steps(job)

    assert [PieceProgress, PieceProgress, PieceBroken] == [type(event) for event in events]
    assert isinstance(events[1], PieceProgress)
    assert events[1].lsn == 40


def test_a_destination_in_trouble_is_retried_until_it_answers(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """The trouble is told, and that it is over, while opening and while archiving; nothing is lost."""
    destination.failing = down
    job = PieceJob(TASK, log, destination, small_resources(storer=threads))
    events: list[Event] = []
    trouble, over = PieceTrouble(1001, 3, "the medium is gone"), PieceTrouble(1001, 3, "")

    def told(event: Event) -> bool:
        events.extend(job.step()[1])
        return event in events

    until(lambda: told(trouble))
    destination.failing = lambda *_: None
    until(lambda: told(over))
    events.clear()
    destination.failing = down
    log.append(random_log(40))
    until(lambda: told(trouble))
    destination.failing = lambda *_: None
    until(lambda: told(over))
    job.stop(60)
    until(lambda: told(PieceStopped(1001, 3, "")))

    assert log.data == archived(destination)


def test_a_round_that_must_be_there_is_waited_for(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """A disk that is not mounted looks so; nothing is written in the meantime."""
    job = PieceJob(replace(TASK, start_lsn=None), log, destination, small_resources(storer=threads))
    events: list[Event] = []

    def told(kind: type[Event]) -> bool:
        events.extend(job.step()[1])
        return any(isinstance(event, kind) for event in events)

    until(lambda: told(PieceTrouble))
    before = list(destination.stored)
    destination.objects[PATH.info] = dump_record(INFO)
    until(lambda: told(PieceProgress))
    job.abandon()

    assert before == []


def test_an_unreadable_log_is_trouble_and_not_the_end(destination: MemoryDestination, log: MemoryLog) -> None:
    """The engine may be starting again."""
    job = PieceJob(TASK, log, destination, small_resources())

    def fail() -> None:
        raise ConnectionError("no engine")

    log.failing = fail
    during = steps(job)
    log.failing = lambda: None
    after = steps(job)

    assert [
        PieceProgress(1001, 3, 0, 0, 0, 0, 0),
        PieceTrouble(1001, 3, "the engine's log cannot be read: no engine"),
    ] == during
    assert after[0] == PieceTrouble(1001, 3, "")


def test_stopping_archives_what_the_log_holds(destination: MemoryDestination, log: MemoryLog) -> None:
    """Whatever its size and age, and no more than that."""
    job = PieceJob(TASK, log, destination, small_resources())
    steps(job)
    job.stop(10)
    events = steps(job)

    assert events[-1] == PieceStopped(1001, 3, "")
    assert log.data == archived(destination)
    assert job.ended
    assert log.is_closed


def test_stopping_under_load_ends(destination: MemoryDestination, log: MemoryLog) -> None:
    """At the place where the log ended when it was read to its end, though the writer goes on and on."""
    job = PieceJob(TASK, log, destination, small_resources())
    job.stop(10)
    before, events = log.data, []
    for _ in range(10):
        if not job.ended:
            events += job.step()[1]
            log.append(random_log(20))

    assert events[-1] == PieceStopped(1001, 3, "")
    assert before == archived(destination)


def test_stopping_with_an_unreadable_log_does_not_claim_to_be_complete(
    destination: MemoryDestination, log: MemoryLog
) -> None:
    """It waits as long as it may, and then says what is missing."""
    clock = Clock()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock))

    def fail() -> None:
        raise ConnectionError("no engine")

    log.failing = fail
    job.stop(10)
    waiting = steps(job)
    clock.now += 10
    ending = steps(job)

    assert PieceStopped not in {type(event) for event in waiting}
    assert [PieceStopped(1001, 3, "the engine's log cannot be read: no engine")] == ending


def test_stopping_with_a_dead_destination_ends_in_time(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """With the destination's own words, and the storer is let go."""
    clock = Clock()
    destination.failing = down
    job = PieceJob(TASK, log, destination, small_resources(clock=clock, storer=threads))
    until(lambda: bool(job.step()[1]))
    job.stop(10)
    waiting = steps(job)
    clock.now += 10
    ending = steps(job)

    assert waiting == []
    assert [PieceStopped(1001, 3, "the medium is gone")] == ending
    assert threads.submit(lambda: "free").result(20) == "free"


def test_stopping_with_a_silent_destination_ends_in_time(destination: MemoryDestination, log: MemoryLog) -> None:
    """One that neither answers nor fails."""
    clock, storer = Clock(), PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock, storer=storer))
    job.stop(10)
    job.step()
    clock.now += 10
    _, events = job.step()

    assert [PieceStopped(1001, 3, "the destination did not answer in time")] == events


def test_an_abandoned_job_leaves_no_hole(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """A destination that answers again just then gets nothing behind what it did not take."""
    job = PieceJob(TASK, log, destination, small_resources(storer=threads))
    until(lambda: bool(job.step()[1]))
    failed = threading.Event()

    def fail_the_first(_operation: str, name: str) -> None:
        if f"/{0:020}-" in name:
            failed.set()
            raise DestinationError("the medium was gone for a moment")

    destination.failing = fail_the_first
    until(lambda: job.step() is not None and failed.is_set())
    job.abandon()
    threads.submit(lambda: None).result(20)

    assert log.data.startswith(archived(destination))
    events = steps(PieceJob(TASK, log, destination, small_resources()))
    assert not any(isinstance(event, PieceBroken) for event in events)


def test_waiting_work_that_is_done_is_notified(destination: MemoryDestination, log: MemoryLog) -> None:
    """Of opening and of each segment."""
    notes: list[None] = []
    storer = PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(storer=storer, notify=lambda: notes.append(None)))
    before = len(notes)
    storer.run_all()
    opened = len(notes)
    job.step()
    storer.run_all()

    assert (before, opened, len(notes)) == (0, 1, 3)


def test_a_flush_is_told_when_it_is_durable(destination: MemoryDestination, log: MemoryLog) -> None:
    """At once, with the log's tail in a segment of its own, and again without log when there is nothing new."""
    job = PieceJob(TASK, log, destination, small_resources())
    steps(job)
    job.flush(7)
    first = steps(job)
    flushed = archived(destination)
    job.flush(8)
    second = steps(job)

    assert Flushed(1001, 3, 7) in first
    assert log.data == flushed
    assert [Flushed(1001, 3, 8)] == second


def test_a_flush_before_the_round_is_open_is_kept(destination: MemoryDestination, log: MemoryLog) -> None:
    """The destination may take its time."""
    storer = PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(storer=storer))
    job.flush(2)
    job.flush(1)
    job.step()
    events: list[Event] = []
    for _ in range(4):
        storer.run_all()
        events += job.step()[1]

    assert Flushed(1001, 3, 2) in events
    assert log.data == archived(destination)


def test_progress_is_told_now_and_then_under_flushes(destination: MemoryDestination, log: MemoryLog) -> None:
    """Each flush at once, progress every 50 ms, and the last of it when the round stops."""
    clock = Clock()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock))
    events: list[Event] = []
    for number in range(1, 101):
        clock.now += 0.005
        log.append(b"commit")
        job.flush(number)
        for _ in range(2):
            events += job.step()[1]
    job.stop(10)
    ending = steps(job)
    progress = [event for event in events if isinstance(event, PieceProgress)]

    assert [Flushed(1001, 3, number) for number in range(1, 101)] == [e for e in events if isinstance(e, Flushed)]
    assert 9 <= len(progress) <= 12
    assert len(log.data) == next(event.lsn for event in [*ending, *progress[::-1]] if isinstance(event, PieceProgress))


def test_a_destination_that_hangs_is_trouble(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """Said once while it lasts, and that it is over; what was waiting is stored."""
    clock, answer = Clock(), threading.Event()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock, storer=threads))
    hanging = threading.Event()

    def hang(operation: str, name: str) -> None:
        if operation == "put" and name.endswith(".redo"):  # no claim
            hanging.set()
            assert answer.wait(20)

    destination.failing = hang
    until(lambda: bool(job.step()[1]))
    until(lambda: job.step() is not None and hanging.is_set())
    quiet = steps(job)
    clock.now += 5
    events = steps(job, 50)
    destination.failing = lambda *_: None
    answer.set()
    until(lambda: PieceTrouble(1001, 3, "") in job.step()[1])
    job.abandon()
    name = PATH.segment(SegmentName(0, 40, ".redo"))

    assert quiet == []
    assert [PieceTrouble(1001, 3, f"the destination has not answered for 5 s (storing {name})")] == events


def test_a_round_with_another_writer_is_waited_for(
    destination: MemoryDestination, log: MemoryLog, threads: ThreadPoolExecutor
) -> None:
    """Who it is, is said; nothing is claimed or written before the lock is ours."""
    lock = destination.lock(PATH.lock, "pid 1 on elsewhere")
    job = PieceJob(TASK, log, destination, small_resources(storer=threads))
    events: list[Event] = []

    def told() -> bool:
        events.extend(job.step()[1])
        return bool(events)

    until(told)
    before = dict(destination.objects)
    lock.release()
    until(lambda: PATH.info in destination.objects)
    job.abandon()
    threads.submit(lambda: None).result(20)

    assert [PieceTrouble(1001, 3, f"{PATH.lock} is held by pid 1 on elsewhere")] == events
    assert before == {}


def test_the_lock_goes_when_nothing_is_under_way_any_more(destination: MemoryDestination, log: MemoryLog) -> None:
    """Neither on the storer nor on the merger; then the threads may end."""
    storer, merger, closed = PatientExecutor(), PatientExecutor(), list[None]()
    resources = small_resources(storer=storer, merger=merger, close=lambda: closed.append(None))
    job = PieceJob(TASK, log, destination, resources)
    storer.run_all()
    job.step()
    job.abandon()
    job.abandon()
    storer.run_all()
    held = dict(destination.locks)
    merger.run_all()
    storer.run_all()

    early = PieceJob(TASK, log, destination, small_resources(storer=storer, close=lambda: closed.append(None)))
    early.abandon()
    storer.run_all()

    assert {PATH.lock: "a test"} == held
    assert destination.locks == {}
    assert closed == [None, None]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are merged when there are four old ones, and the newest as well."""
    for module in ("merging", "merger"):
        monkeypatch.setattr(f"redoubt.archiver.{module}.MANY", 4)
        monkeypatch.setattr(f"redoubt.archiver.{module}.NEWEST", 0)


def test_segments_are_merged_while_a_round_is_archived(
    destination: MemoryDestination, log: MemoryLog, eager: None
) -> None:
    """What is told is what holds the round then; also for segments that a worker before this one stored."""
    clock = Clock()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock))
    steps(job)
    job.abandon()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock))
    log.append(*[random_log(40, seed) for seed in range(5)])
    events = steps(job)
    clock.now += 61
    events += steps(job, 10)
    held = archived(destination)
    names = [str(name) for name, _ in PieceStore(destination, PATH).segments()]
    sizes = [size for _, size in PieceStore(destination, PATH).segments()]
    last = [event for event in events if isinstance(event, PieceProgress)][-1]

    assert any(".merged." in name for name in names)
    assert len(names) < 5
    assert log.data.startswith(held)
    assert (last.segments, last.output_bytes, last.input_bytes) == (len(names), sum(sizes), len(held))


def test_a_merge_that_fails_changes_nothing_and_is_tried_again(
    destination: MemoryDestination, log: MemoryLog, eager: None
) -> None:
    """Whatever failed: reading the parts, storing, reading back, removing."""
    log.append(*[random_log(40, seed) for seed in range(6)])
    for operation, times in (("get", 1), ("put", 1), ("get", 9), ("delete", 2)):
        here = MemoryDestination()
        clock = Clock()
        job = PieceJob(TASK, log, here, small_resources(clock=clock))
        steps(job)
        clock.now += 61
        left = times

        def fail(what: str, _name: str, operation: str = operation) -> None:
            nonlocal left
            if what == operation:
                left -= 1
                if left == 0:
                    raise DestinationError("the medium was gone for a moment")

        here.failing = fail
        steps(job, 6)
        assert left <= 0
        for _ in range(10):
            clock.now += 1
            job.step()
        here.failing = lambda *_: None
        store = PieceStore(here, PATH)

        assert store.listing().covered == ()
        assert any(name.is_merged for name, _ in store.segments())
        assert log.data.startswith(archived(here))
        job.abandon()


def test_stopping_freezes_the_round(destination: MemoryDestination, log: MemoryLog, eager: None) -> None:
    """Its last figures are those of the manifest; how far it is, is told now and then."""
    job = PieceJob(TASK, log, destination, small_resources())
    steps(job)
    job.stop(10)
    events = steps(job)
    manifest = PieceStore(destination, PATH).manifest()

    assert manifest is not None
    assert len(manifest.segments) == 1
    assert [PieceProgress(1001, 3, 85, 500, 85, manifest.output_bytes, 1), PieceStopped(1001, 3, "")] == events[-2:]


def test_how_far_freezing_is_is_told(destination: MemoryDestination, log: MemoryLog) -> None:
    """While objects are read for the manifest, twice a second at most."""
    first = PieceJob(TASK, log, destination, small_resources())
    steps(first)
    first.abandon()
    clock, merger = Clock(), PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock, merger=merger))
    job.stop(10)
    steps(job)
    events: list[Event] = []

    def look(operation: str, _name: str) -> None:
        clock.now += 0.3
        events.extend(job.step()[1])

    destination.failing = look
    merger.run_all()
    events += steps(job)
    told = [event for event in events if isinstance(event, PieceFreezing)]

    assert events[-1] == PieceStopped(1001, 3, "")
    assert all(event.done <= event.total for event in told)


def test_a_freezing_that_fails_ends_in_time(destination: MemoryDestination, log: MemoryLog) -> None:
    """With the destination's words; patience counts from when things moved last."""
    clock = Clock()
    job = PieceJob(TASK, log, destination, small_resources(clock=clock))
    steps(job)

    def fail(_operation: str, name: str) -> None:
        if name == PATH.manifest:
            raise DestinationError("the medium is gone")

    destination.failing = fail
    job.stop(10)
    events: list[Event] = []
    while not job.ended:
        clock.now += 1
        events += job.step()[1]
    text = "the piece cannot be frozen: the medium is gone"

    assert events[-1] == PieceStopped(1001, 3, text)
    assert 1010 <= clock.now < 1020


def test_patience_lasts_while_log_is_archived(destination: MemoryDestination, log: MemoryLog) -> None:
    """A slow destination is not a dead one."""
    clock, storer = Clock(), PatientExecutor()
    log.append(*[random_log(40, seed) for seed in range(20)])
    job = PieceJob(TASK, log, destination, small_resources(clock=clock, storer=storer))
    job.stop(10)
    events: list[Event] = []
    while not job.ended:
        clock.now += 6
        if storer.waiting:
            storer.run_one()
        events += job.step()[1]

    assert events[-1] == PieceStopped(1001, 3, "")
    assert log.data == archived(destination)


def test_a_flush_that_the_stop_made_durable_is_told(destination: MemoryDestination, log: MemoryLog) -> None:
    """Whoever commits is waiting for it."""
    storer = PatientExecutor()
    job = PieceJob(TASK, log, destination, small_resources(storer=storer))
    storer.run_all()
    job.flush(1)
    job.stop(10)
    events: list[Event] = []
    while not job.ended:
        events += job.step()[1]
        storer.run_all()

    assert Flushed(1001, 3, 1) in events
    assert events[-1] == PieceStopped(1001, 3, "")
