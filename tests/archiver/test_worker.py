"""The worker's loop: which command becomes which job, and what is told on its output."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.archive.encryption import Key, KeyMissingError
from redoubt.archive.folder_keys import wrapped_key_in
from redoubt.archive.layout import ClusterPath
from redoubt.archive.reading import walk
from redoubt.archive.store import PieceStore, piece_keys
from redoubt.archiver.archiver import SealRule
from redoubt.destinations.file import FileDestination
from redoubt.messages.archiving import (
    ALL_PIECES,
    Command,
    Configure,
    Event,
    Flush,
    Flushed,
    HoleOpened,
    PieceCut,
    PieceFrozen,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
    StopRound,
    SwitchPiece,
    from_line,
)
from redoubt.worker import UNKNOWN_ROUND, Worker
from tests.archive.fakes import OF, PATH, TASK, MemoryLog, know, random_log, until


class Running:
    """A worker that runs in a thread, on a directory and a log in memory."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = MemoryLog()
        self.readers = 0
        self.task = replace(TASK, destination=f"file://{folder}")
        self.store = PieceStore(FileDestination(folder), PATH)
        monkeypatch.setattr("redoubt.worker.engine_kind", lambda _name: self)
        self._output = io.BytesIO()
        self.worker = Worker(self._output, SealRule(size=1000, age=60.0), "a test")
        self._thread = threading.Thread(target=self.worker.run)
        self._thread.start()

    def events(self) -> list[Event]:
        """What it has told so far."""
        events = [from_line(line) for line in self._output.getvalue().splitlines()]
        return [event for event in events if not isinstance(event, Command)]

    def tells(self, event: Event) -> None:
        """Wait until it does."""
        until(lambda: event in self.events())

    def end(self) -> None:
        """End it."""
        self.worker.tell(None)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def reader(self) -> MemoryLog:
        """See `Engine`."""
        self.readers += 1
        return self.log

    def engine(self, _directory: Path) -> Running:
        """See `EngineKind`."""
        return self


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A worker at work."""
    running = Running(tmp_path, monkeypatch)
    yield running
    running.end()


def test_a_round_is_archived_flushed_and_stopped(running: Running) -> None:
    """What a worker is for; and what has been told is in the destination."""
    running.log.append(random_log(100))
    running.worker.tell(Configure("zstd_1.3.8"))
    running.worker.tell(running.task)
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    segments = running.store.segments()
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, ""))

    assert [(name.end_lsn, name.suffix) for name, _ in segments] == [(100, ".zst")]
    assert isinstance(running.events()[0], PieceProgress)


def test_a_round_that_is_told_twice_has_one_job(running: Running) -> None:
    """Two would write one round."""
    running.worker.tell(running.task)
    running.worker.tell(running.task)
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))

    assert running.readers == 1


def test_an_interruption_ends_the_job_of_its_round(running: Running) -> None:
    """And is carried out once; the round is not archived again after it, however late its command comes."""
    broken = replace(running.task, broken_by="gone", broken_at=7)
    running.log.append(random_log(100))
    running.worker.tell(running.task)
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    for command in (broken, broken, running.task):
        running.worker.tell(command)
    running.tells(HoleOpened(1001, 3, 100, 100))
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, ""))

    assert running.readers == 2


def test_what_comes_for_no_job_is_no_trouble(running: Running) -> None:
    """A stop is answered, and not as if all were archived; a flush of a round that has ended is not."""
    running.worker.tell(Flush(1001, 3, 1))
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, UNKNOWN_ROUND, ALL_PIECES))
    running.worker.tell(running.task)
    running.worker.tell(StopRound(1001, 2, 20.0))
    running.tells(PieceStopped(1001, 2, UNKNOWN_ROUND, ALL_PIECES))
    running.worker.tell(Flush(1001, 2, 1))
    running.worker.tell(Flush(1001, 3, 2))
    running.tells(Flushed(1001, 3, 2))

    assert Flushed(1001, 2, 1) not in running.events()


def test_a_round_goes_on_in_a_new_piece(running: Running) -> None:
    """Two jobs side by side until the old piece is frozen; flushes and stops go where they belong."""
    running.log.append(random_log(100))
    first = replace(running.task, piece=7, create_date=20261123)
    second = replace(
        first, piece=8, create_date=20261124, previous_piece=7, previous_date=20261123, start_lsn=None, start_scn=200
    )
    running.worker.tell(first)
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    running.worker.tell(SwitchPiece(1001, 3, 99, 100, 20261124, 150))
    running.worker.tell(SwitchPiece(1001, 3, 7, 8, 20261124, 150))
    running.log.append(random_log(100))
    running.tells(PieceFrozen(1001, 3, 7))
    running.worker.tell(second)
    running.log.append(random_log(100))
    running.worker.tell(Flush(1001, 3, 2))
    running.tells(Flushed(1001, 3, 2))
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, "", 8))

    assert PieceCut(1001, 3, 7, 200, 200) in running.events()
    assert [
        str(key) for key in piece_keys(running.store.destination, ClusterPath(OF.cluster, OF.cluster_id), 1001, 3)
    ] == [
        "3_7_20261123",
        "3_8_20261124",
    ]


def test_a_new_round_ends_the_jobs_of_the_one_before(running: Running) -> None:
    """Which had pieces perhaps; nobody waits for them any more."""
    running.log.append(random_log(100))
    running.worker.tell(replace(running.task, piece=7, create_date=20261123))
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    running.worker.tell(replace(running.task, round=4))
    running.worker.tell(Flush(1001, 4, 1))
    running.tells(Flushed(1001, 4, 1))
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, UNKNOWN_ROUND, ALL_PIECES))


def test_encryption_begins_and_ends_while_a_round_runs(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, without a hole; and what was encrypted is merged and frozen as the rest is."""
    key = Key(b"k" * 32)
    know(monkeypatch, key)
    running.worker.tell(running.task)
    for number, encrypts in enumerate((False, True, True, False), 1):
        running.worker.tell(Configure("lz4_1.0", encrypts=encrypts))
        running.log.append(random_log(100))
        running.worker.tell(Flush(1001, 3, number))
        running.tells(Flushed(1001, 3, number))
    suffixes = [name.suffix for name, _ in running.store.segments()]
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, ""))

    assert suffixes == [".lz4", ".lz4.aes", ".lz4.aes", ".lz4"]
    assert [(name.end_lsn, name.suffix) for name, _ in running.store.segments()] == [
        (100, ".lz4"),
        (300, ".lz4.aes"),
        (400, ".lz4"),
    ]
    assert b"".join(b"".join(run.chunks) for run in walk(running.store, 0)) == running.log.data
    assert running.readers == 3
    know(monkeypatch, None)
    with pytest.raises(KeyMissingError, match=key.id):
        [b"".join(run.chunks) for run in walk(PieceStore(running.store.destination, PATH), 0)]


def test_a_missing_master_key_is_told(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is archived in the clear meanwhile, and nothing is lost: it goes on when the key is there."""
    know(monkeypatch, None)
    running.log.append(random_log(100))
    running.worker.tell(Configure("lz4_1.0", encrypts=True))
    running.worker.tell(running.task)
    until(lambda: any(isinstance(each, PieceTrouble) and "no master key" in each.text for each in running.events()))
    assert not running.store.segments()

    know(monkeypatch, Key(b"k" * 32))
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    assert [name.suffix for name, _ in running.store.segments()] == [".lz4.aes"]


def test_a_data_key_that_somebody_removes_is_written_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the piece is frozen, at the latest: everything in it would be lost."""
    know(monkeypatch, Key(b"k" * 32))
    running.worker.tell(Configure("lz4_1.0", encrypts=True))
    running.worker.tell(running.task)
    running.log.append(random_log(100))
    running.worker.tell(Flush(1001, 3, 1))
    running.tells(Flushed(1001, 3, 1))
    destination = running.store.destination
    (name,) = (each.name for each in destination.list(PATH.folder) if wrapped_key_in(each.name))
    destination.delete(name)
    running.worker.tell(StopRound(1001, 3, 20.0))
    running.tells(PieceStopped(1001, 3, ""))

    fresh = PieceStore(destination, PATH)
    assert b"".join(b"".join(run.chunks) for run in walk(fresh, 0)) == running.log.data
