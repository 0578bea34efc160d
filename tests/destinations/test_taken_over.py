"""A piece in a real object store whose writer changes: what the former one stores late is not part of the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redoubt.archive.layout import PieceInfo, Takeover
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import PieceStore
from redoubt.archiver.piece_job import PieceJob
from redoubt.destinations.uri import open_destination
from redoubt.messages.archiving import Event, PieceStopped
from redoubt.model.seams import ObjectMissingError
from redoubt.verify.checking import Checker
from redoubt.verify.piece_look import PieceEyes
from redoubt.verify.verified_objects import VerifiedObjects
from tests.archive.fakes import PATH, TASK, MemoryLog, log_in, random_log, small_resources


def run(job: PieceJob, is_enough: Callable[[list[Event]], bool]) -> None:
    """Have a job work until it has said enough."""
    said: list[Event] = []
    for _ in range(1000):
        said += job.step()[1]
        if is_enough(said):
            return
    raise AssertionError(said)


def has_stopped(said: list[Event]) -> bool:
    """Whether the job has come to its end."""
    return any(isinstance(event, PieceStopped) for event in said)


def test_a_request_of_a_dead_writer_arrives_late(bucket_uri: str) -> None:
    """The next writer has cut the log differently; verification names the object, and the writer removes it."""
    destination, log = open_destination(bucket_uri), MemoryLog()
    store = PieceStore(destination, PATH)
    log.append(random_log(50), random_log(10))
    first = PieceJob(TASK, log, destination, small_resources())
    run(first, lambda _said: len(store.segments()) == 1)
    first.abandon()
    log.append(random_log(15), random_log(60))
    second = PieceJob(TASK, log, destination, small_resources())
    run(second, lambda _said: len(store.segments()) == 2)
    late = SegmentName(50, 60, ".redo", epoch=1)
    store.put(late, b"what was under way")
    look = PieceEyes(Checker(destination, VerifiedObjects(), 1), TASK.key, PATH).look()
    second.stop(20.0)
    run(second, has_stopped)

    assert look.void == (PATH.segment(late),)
    assert not any(checked.problem for checked in look.segments.values())
    assert log_in(store) == log.data
    assert {name.epoch for name, _ in store.segments()} == {1, 2}
    assert store.record(Takeover, PATH.takeover(2, 50)).holder == "a test"
    with pytest.raises(ObjectMissingError):
        store.get(late)


def test_a_manifest_of_a_dead_writer_arrives_late(bucket_uri: str) -> None:
    """It says that the piece has ended; the next writer has gone on, and replaces it."""
    destination, log = open_destination(bucket_uri), MemoryLog()
    store = PieceStore(destination, PATH)
    log.append(random_log(50))
    first = PieceJob(TASK, log, destination, small_resources())
    first.stop(20.0)
    run(first, has_stopped)
    late = destination.get(PATH.manifest, 0, 100_000)
    destination.delete(PATH.manifest)
    log.append(random_log(70))
    second = PieceJob(TASK, log, destination, small_resources())
    run(second, lambda _said: len(store.segments()) == 2)
    destination.put_if_absent(PATH.manifest, late)
    second.stop(20.0)
    run(second, has_stopped)
    manifest = store.manifest()

    assert manifest is not None
    assert manifest.piece.end_lsn == 120
    assert log_in(store) == log.data
    assert store.record(PieceInfo, PATH.info).start_lsn == 0
