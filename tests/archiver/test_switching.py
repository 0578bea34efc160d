"""A round that goes on in a new piece: the old one is cut, frozen and ended, the next one continues its log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.layout import ClusterPath, Interruption, PieceInfo, PiecePath
from redoubt.archive.manifest import Manifest
from redoubt.archive.record import load_record
from redoubt.archive.store import PieceStore, piece_keys
from redoubt.archiver.piece_job import PieceJob
from redoubt.messages.archiving import (
    ArchivePiece,
    Event,
    Flushed,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceCut,
    PieceFrozen,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
)
from redoubt.model.log import LogBatch, LogPosition
from redoubt.model.pieces import PieceKey
from tests.archive.fakes import (
    OF,
    TASK,
    Clock,
    CrashError,
    MemoryDestination,
    MemoryLog,
    down,
    random_log,
    small_resources,
    until,
)

FIRST, SECOND = PieceKey(3, 7, 20261123), PieceKey(3, 8, 20261124)
SWITCH = 250
"""The SCN of the switch: the third group's is the first that is not before it."""
ONE = replace(TASK, piece=FIRST.piece, create_date=FIRST.create_date)
CUT = replace(ONE, next_piece=SECOND.piece, next_date=SECOND.create_date, switch_scn=SWITCH)
TWO = replace(
    TASK,
    piece=SECOND.piece,
    create_date=SECOND.create_date,
    previous_piece=FIRST.piece,
    previous_date=FIRST.create_date,
    start_lsn=None,
    start_scn=300,
)


def path(key: PieceKey) -> PiecePath:
    """The folder of a piece."""
    return ClusterPath(OF.cluster, OF.cluster_id).piece(OF.tenant_id, key)


def log_of(destination: MemoryDestination, key: PieceKey) -> tuple[int, bytes, int | None]:
    """Where a piece begins, its log, and the chain checksum at its end."""
    store = PieceStore(destination, path(key))
    info = store.record(PieceInfo, store.path.info)
    log, chain = b"", info.start_chain
    for name, _ in store.segments():
        header, data = store.read(name)
        assert chain in {None, header.chain_before}
        log, chain = log + data, header.chain_after
    return info.start_lsn, log, chain


def run(job: PieceJob, steps: int = 30) -> list[Event]:
    """The events of some steps, between which a little time passes."""
    events: list[Event] = []
    for _ in range(steps):
        if job.ended:
            break
        if isinstance(job._resources.clock, Clock):
            job._resources.clock.now += 0.3
        events += job.step()[1]
    return events


@pytest.fixture
def destination() -> MemoryDestination:
    """An empty destination."""
    return MemoryDestination()


@pytest.fixture
def log() -> MemoryLog:
    """Five groups, SCN 100 to 500."""
    log = MemoryLog()
    for seed in range(5):
        log.append(random_log(20, seed))
    return log


def one_group_at_a_time(log: MemoryLog) -> None:
    """Let every batch be one group."""
    read = log.read

    def read_one(position: LogPosition, limit: int) -> LogBatch | None:
        return read(position, 1)

    log.read = read_one  # type: ignore[method-assign] # as the log of a slow writer is read


def test_a_piece_is_cut_frozen_and_continued(destination: MemoryDestination, log: MemoryLog) -> None:
    """The first batch end that is not before the switch parts them; nothing is missing, nothing is double."""
    one_group_at_a_time(log)
    later_groups = [log.groups.pop() for _ in range(3)]
    job = PieceJob(ONE, log, destination, small_resources())
    run(job, steps=2)
    job.switch(SWITCH)
    log.groups += reversed(later_groups)
    events = run(job)
    following = PieceJob(TWO, log, destination, small_resources())
    following.stop(10)
    later = run(following)

    assert events[-1] == PieceFrozen(1001, 3, 7)
    assert PieceCut(1001, 3, 7, 60, 300) in events
    assert [event.piece for event in events if isinstance(event, PieceProgress)][-1] == 7
    assert later[0] == PieceProgress(1001, 3, 60, 300, 0, 0, 0, 8)
    assert later[-1] == PieceStopped(1001, 3, "", 8)
    (first, old, chain), (second, new, _) = log_of(destination, FIRST), log_of(destination, SECOND)
    assert (first, second) == (0, 60)
    assert old + new == log.data
    claim = PieceStore(destination, path(SECOND)).record(PieceInfo, path(SECOND).info)
    assert (claim.start_scn, claim.start_chain) == (300, chain)
    manifests = [PieceStore(destination, path(key)).manifest() for key in (FIRST, SECOND)]
    assert [(m.piece.piece, m.piece.start_lsn, m.piece.end_lsn) for m in manifests if m] == [(7, 0, 60), (8, 60, 100)]
    assert piece_keys(destination, ClusterPath(OF.cluster, OF.cluster_id), 1001, 3) == [FIRST, SECOND]


def test_a_task_that_says_where_to_cut_cuts(destination: MemoryDestination, log: MemoryLog) -> None:
    """As a worker is told that starts after the switch; a batch is taken whole."""
    events = run(PieceJob(CUT, log, destination, small_resources()))

    assert events[-1] == PieceFrozen(1001, 3, 7)
    (cut,) = [event for event in events if isinstance(event, PieceCut)]
    assert cut.scn >= SWITCH
    assert log_of(destination, FIRST)[1] == log.data[: cut.lsn]


def test_a_log_that_has_not_come_to_the_switch_goes_on_in_the_old_piece(
    destination: MemoryDestination, log: MemoryLog
) -> None:
    """Until it does."""
    job = PieceJob(replace(CUT, switch_scn=550), log, destination, small_resources())
    before = run(job)
    log.append(random_log(20, 9))
    after = run(job)

    assert not [event for event in before if isinstance(event, PieceCut)]
    assert PieceCut(1001, 3, 7, 120, 600) in after
    assert after[-1] == PieceFrozen(1001, 3, 7)


def test_a_stop_before_the_switch_is_reached_ends_the_piece(destination: MemoryDestination, log: MemoryLog) -> None:
    """It is frozen where the log ends, and no other begins."""
    job = PieceJob(replace(CUT, switch_scn=9999), log, destination, small_resources())
    job.stop(10)
    events = run(job)

    assert events[-1] == PieceStopped(1001, 3, "", 7)
    assert not [event for event in events if isinstance(event, PieceCut)]
    assert log_of(destination, FIRST)[1] == log.data


def test_a_stop_of_a_cut_piece_ends_it_when_it_is_frozen(destination: MemoryDestination, log: MemoryLog) -> None:
    """And tells of the cut, so that the next one can be archived to its end as well."""
    one_group_at_a_time(log)
    job = PieceJob(CUT, log, destination, small_resources())
    job.stop(10)
    events = run(job)

    assert PieceCut(1001, 3, 7, 60, 300) in events
    assert events[-1] == PieceStopped(1001, 3, "", 7)


def test_a_piece_that_was_cut_before_a_crash_is_ended_by_the_next_worker(
    destination: MemoryDestination, log: MemoryLog
) -> None:
    """Whether its manifest is there or not; nothing is added to it."""
    one_group_at_a_time(log)
    run(PieceJob(CUT, log, destination, small_resources()))
    with_manifest = dict(destination.objects)
    for has_manifest in (True, False):
        destination.objects = dict(with_manifest)
        if not has_manifest:
            del destination.objects[path(FIRST).manifest]
        destination.locks.clear()
        events = run(PieceJob(replace(CUT, start_lsn=None), log, destination, small_resources()))

        assert events[-1] == PieceFrozen(1001, 3, 7)
        assert PieceCut(1001, 3, 7, 60, 300) in events
        assert log_of(destination, FIRST)[1] == log.data[:60]
        assert path(FIRST).manifest in destination.objects


def test_a_flush_that_the_cut_piece_cannot_answer_waits_for_the_next(
    destination: MemoryDestination, log: MemoryLog
) -> None:
    """The log that it asks for belongs to the next piece, whose job is asked again."""
    one_group_at_a_time(log)
    job = PieceJob(CUT, log, destination, small_resources())
    job.flush(5)
    events = run(job)
    following = PieceJob(TWO, log, destination, small_resources())
    following.flush(5)
    later = run(following)

    assert not [event for event in events if isinstance(event, Flushed)]
    assert Flushed(1001, 3, 5) in later


def test_the_next_piece_begins_where_an_unfrozen_one_ends(destination: MemoryDestination, log: MemoryLog) -> None:
    """Both are under way at once: the old one's freezing does not hold up the new one."""
    one_group_at_a_time(log)
    destination.failing = lambda operation, name: (
        down(operation, name) if name == path(FIRST).manifest and operation == "put" else None
    )
    job = PieceJob(CUT, log, destination, small_resources())
    events = run(job)
    following = PieceJob(TWO, log, destination, small_resources())
    run(following)

    assert not job.ended
    assert PieceCut(1001, 3, 7, 60, 300) in events
    assert log_of(destination, SECOND)[:2] == (60, log.data[60:])


def test_a_piece_without_log_is_gone_on_with(destination: MemoryDestination, log: MemoryLog) -> None:
    """A worker that claimed it and died knows from the claim what log has to follow."""
    one_group_at_a_time(log)
    run(PieceJob(CUT, log, destination, small_resources()))
    quiet = MemoryLog()
    quiet.groups = log.groups[:3]
    run(PieceJob(TWO, quiet, destination, small_resources()))
    destination.locks.clear()
    other = MemoryLog()
    other.append(*[random_log(20, seed + 50) for seed in range(5)])
    events = run(PieceJob(TWO, other, destination, small_resources()))

    assert isinstance(events[-1], PieceBroken)
    assert "does not continue" in events[-1].text
    destination.locks.clear()
    run(PieceJob(TWO, log, destination, small_resources()))
    assert log_of(destination, SECOND)[:2] == (60, log.data[60:])


def test_a_piece_that_continues_nothing_is_not_begun(destination: MemoryDestination, log: MemoryLog) -> None:
    """Where the one before it is not there, nothing is claimed: perhaps the disk is not mounted."""
    with ThreadPoolExecutor(1) as storer:
        job = PieceJob(TWO, log, destination, small_resources(storer=storer))
        events: list[Event] = []

        def is_told() -> bool:
            events.extend(job.step()[1])
            return bool(events)

        until(is_told)
        job.abandon()

    assert isinstance(events[0], PieceTrouble)
    assert (destination.objects, destination.locks) == ({}, {})


def test_the_end_of_a_piece_that_is_being_merged_is_waited_for(destination: MemoryDestination, log: MemoryLog) -> None:
    """A listing may miss the last object of the old piece; the new one must not begin before it."""
    one_group_at_a_time(log)
    run(PieceJob(CUT, log, destination, small_resources()))
    del destination.objects[path(FIRST).manifest]
    name = max(name for name in destination.objects if name.startswith(path(FIRST).folder + "/0"))
    missed = destination.objects.pop(name)
    with ThreadPoolExecutor(1) as storer:
        job = PieceJob(TWO, log, destination, small_resources(storer=storer))
        events: list[Event] = []

        def is_told(kind: type) -> bool:
            events.extend(job.step()[1])
            return any(isinstance(event, kind) for event in events)

        try:
            until(lambda: is_told(PieceTrouble))
            assert path(SECOND).info not in destination.objects
            destination.objects[name] = missed
            until(lambda: is_told(PieceProgress))
        finally:
            job.abandon()

    assert log_of(destination, SECOND)[0] == 60


def test_a_piece_that_reaches_beyond_its_cut_is_not_continued(destination: MemoryDestination, log: MemoryLog) -> None:
    """Nothing is archived twice."""
    one_group_at_a_time(log)
    run(PieceJob(CUT, log, destination, small_resources()))
    (event,) = run(PieceJob(replace(TWO, start_scn=200), log, destination, small_resources()))

    assert isinstance(event, PieceBroken)
    assert "ends after SCN 200" in event.text


def test_an_interruption_lies_in_the_piece_that_ends_with_it(destination: MemoryDestination, log: MemoryLog) -> None:
    """A piece that was cut is whole; the one in which the log breaks off bears the record."""
    one_group_at_a_time(log)
    destination.failing = lambda operation, name: (
        down(operation, name) if name == path(FIRST).manifest and operation == "put" else None
    )
    run(PieceJob(CUT, log, destination, small_resources()))
    destination.failing = lambda _operation, _name: None
    destination.locks.clear()
    again = replace(CUT, start_lsn=None, broken_by="too much log", broken_at=77)
    old = run(PieceJob(again, log, destination, small_resources()))
    new = PieceJob(replace(TWO, broken_by="too much log", broken_at=77), log, destination, small_resources())
    opened = run(new)
    new.stop(10)
    events = run(new)

    assert PieceCut(1001, 3, 7, 60, 300) in old
    assert old[-1] == PieceFrozen(1001, 3, 7)
    assert path(FIRST).interruption not in destination.objects
    assert HoleOpened(1001, 3, 60, 300, 8) in opened
    assert events[-1] == PieceStopped(1001, 3, "", 8)
    record = load_record(Interruption, destination.objects[path(SECOND).interruption])
    assert (record.end_lsn, record.end_scn) == (60, 300)


def test_the_hole_before_a_round_begins_at_the_end_of_the_last_piece(
    destination: MemoryDestination, log: MemoryLog
) -> None:
    """Whatever of the round before is not frozen is frozen then."""
    one_group_at_a_time(log)
    run(PieceJob(CUT, log, destination, small_resources()))
    run(PieceJob(TWO, log, destination, small_resources()))
    del destination.objects[path(FIRST).manifest]
    destination.locks.clear()
    for seed in range(6, 9):
        log.append(random_log(20, seed))
    later = PieceKey(4, 9, 20261125)
    task = replace(TASK, round=4, piece=9, create_date=20261125, start_lsn=140, after=3)
    job = PieceJob(task, log, destination, small_resources())
    events = run(job)

    assert HoleClosed(1001, 4, 3, 100, 500, 140, 800) in events
    assert path(later).hole in destination.objects
    assert all(isinstance(PieceStore(destination, path(key)).manifest(), Manifest) for key in (FIRST, SECOND))


def _follow(task: ArchivePiece, log: MemoryLog, destination: MemoryDestination) -> list[Event]:
    """The events of one life of a job; a crash ends it."""
    events: list[Event] = []
    try:
        job = PieceJob(task, log, destination, small_resources())
        for _ in range(20):
            if job.ended:
                break
            clock = job._resources.clock
            assert isinstance(clock, Clock)
            clock.now += 0.4
            events += job.step()[1]
    except CrashError:
        pass
    destination.locks.clear()
    return events


@given(
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=10),
    crashes=st.lists(st.integers(0, 25), max_size=6),
    share=st.floats(0, 1),
)
def test_a_crash_at_any_operation_of_a_switch_loses_and_doubles_nothing(
    sizes: list[int], crashes: list[int], share: float
) -> None:
    """The service goes by what it heard: it tells the next worker of the old piece until that is frozen."""
    log, destination = MemoryLog(), MemoryDestination()
    log.append(*[random_log(size, seed) for seed, size in enumerate(sizes)])
    cut = replace(CUT, switch_scn=max(1, int(share * 100 * len(sizes))))
    tasks, heard = [cut], list[Event]()
    for operations in [*crashes, 10**9, 10**9]:
        left = operations

        def count(_operation: str, _name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError

        destination.failing = count
        for task in list(tasks):
            heard += _follow(task, log, destination)
            at = next((event.scn for event in heard if isinstance(event, PieceCut)), None)
            if at is not None and tasks[-1].piece == cut.piece:
                tasks.append(replace(TWO, start_scn=at))
            if any(isinstance(event, PieceFrozen) for event in heard) and cut in tasks:
                tasks.remove(cut)
    destination.failing = lambda _operation, _name: None

    assert [task.piece for task in tasks] == [SECOND.piece]
    (first, old, _), (second, new, _) = log_of(destination, FIRST), log_of(destination, SECOND)
    assert (first, second) == (0, len(old))
    assert old + new == log.data
