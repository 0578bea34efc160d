"""A destination that is exchanged or emptied under its writer: what is stored then, and what is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from redoubt.archive.layout import ClusterInfo, ClusterPath, PieceInfo
from redoubt.archive.record import load_record
from redoubt.archive.store import PieceStore
from redoubt.archiver.asking import SILENCE, WatchedDestination
from redoubt.archiver.guarding import CLAIMS_EVERY
from redoubt.archiver.piece_job import PieceJob
from redoubt.destinations.file import FileDestination
from redoubt.messages.archiving import Event, PieceStopped, PieceTrouble
from redoubt.model.seams import LockedError
from tests.archive.fakes import (
    PATH,
    TASK,
    Clock,
    MemoryDestination,
    MemoryLock,
    MemoryLog,
    log_in,
    random_log,
    small_resources,
    until,
)

CLAIM = ClusterPath(TASK.cluster, TASK.cluster_id).info


class Writer:
    """A job that archives into the directory `folder`, with threads of its own."""

    def __init__(self, folder: Path, storer: ThreadPoolExecutor, merger: ThreadPoolExecutor) -> None:
        folder.mkdir()
        self.folder, self.log, self.clock, self.trouble = folder, MemoryLog(), Clock(), ""
        self.last: Event | None = None
        resources = small_resources(clock=self.clock, storer=storer, merger=merger)
        self.job = PieceJob(TASK, self.log, FileDestination(folder), resources)

    def writes(self) -> None:
        """The engine writes two segments of log."""
        for _ in range(4):
            self.log.append(random_log(20, len(self.log.data)))

    def step(self) -> bool:
        """The job works; whether it has ended."""
        self.clock.now += 0.06
        for event in self.job.step()[1]:
            self.last = event
            if isinstance(event, PieceTrouble):
                self.trouble = event.text
        return self.job.ended

    def is_archived(self) -> bool:
        """Whether the directory has the whole log."""
        self.step()
        return log_in(PieceStore(FileDestination(self.folder), PATH)) == self.log.data

    def is_troubled(self, text: str) -> bool:
        """Whether the job complains about that."""
        self.step()
        return text in self.trouble


@dataclass(frozen=True)
class Exchange:
    """A copy of a writer's directory as it was, to be put in its place for a while; then the writer archived more."""

    writer: Writer
    older: Path
    away: Path

    @classmethod
    def prepared(cls, writer: Writer, beside: Path) -> Exchange:
        """Make the copy, then let the writer archive two more segments."""
        shutil.copytree(writer.folder, beside / "older")
        writer.writes()
        until(writer.is_archived)
        return cls(writer, beside / "older", beside / "away")

    def do(self) -> None:
        """The older copy is in the directory's place."""
        self.writer.folder.rename(self.away)
        self.older.rename(self.writer.folder)

    def undo(self) -> None:
        """The directory is back."""
        self.writer.folder.rename(self.older)
        self.away.rename(self.writer.folder)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A job that has archived a little."""
    with ThreadPoolExecutor(1) as storer, ThreadPoolExecutor(1) as merger:
        writer = Writer(tmp_path / "backup", storer, merger)
        writer.writes()
        until(writer.is_archived)
        yield writer
        writer.job.abandon()


def test_an_older_copy_in_the_destinations_place_is_not_written_to(writer: Writer, tmp_path: Path) -> None:
    """Its log would have a gap. The job waits for the right one, and goes on there."""
    exchange = Exchange.prepared(writer, tmp_path)
    exchange.do()
    before = sorted(path.name for path in writer.folder.rglob("*.redo"))
    writer.writes()
    until(lambda: writer.is_troubled("ends at LSN 80, but log to LSN 160 was stored before"))
    after = sorted(path.name for path in writer.folder.rglob("*.redo"))
    exchange.undo()
    until(writer.is_archived)

    assert before == after
    assert writer.is_troubled("")


def test_a_lock_that_cannot_be_taken_again_at_once_is_not_forgotten(writer: Writer, tmp_path: Path) -> None:
    """The place was empty for a moment, then an older copy came that another writer has locked, then it was free."""
    exchange = Exchange.prepared(writer, tmp_path)
    other = FileDestination(exchange.older).lock(PATH.lock, "another writer")
    writer.folder.rename(exchange.away)
    writer.writes()
    until(lambda: writer.is_troubled("check that the backup disk is mounted"))
    exchange.older.rename(writer.folder)
    until(lambda: writer.is_troubled("is being written by another writer"))
    other.release()
    until(lambda: writer.is_troubled("ends at LSN 80, but log to LSN 160 was stored before"))
    written = log_in(PieceStore(FileDestination(writer.folder), PATH))
    exchange.undo()
    until(writer.is_archived)

    assert len(written) == 80


def test_a_full_copy_in_the_destinations_place_is_locked_and_continued(writer: Writer, tmp_path: Path) -> None:
    """Another writer must find the lock where it looks for it."""
    copy = tmp_path / "copy"
    shutil.copytree(writer.folder, copy)
    writer.folder.rename(tmp_path / "away")
    copy.rename(writer.folder)
    writer.writes()
    until(writer.is_archived)
    with pytest.raises(LockedError, match="a test"):
        FileDestination(writer.folder).lock(PATH.lock, "another")


def test_a_stop_does_not_freeze_another_destination(writer: Writer, tmp_path: Path) -> None:
    """The manifest would leave out log that was archived."""
    exchange = Exchange.prepared(writer, tmp_path)
    exchange.do()
    writer.job.stop(60)
    until(lambda: writer.step() or writer.job._chores.failure != "")
    failure = writer.job._chores.failure
    is_frozen = (writer.folder / PATH.manifest).exists()
    exchange.undo()
    writer.clock.now += 1
    until(writer.step)

    assert "was exchanged" in failure
    assert not is_frozen
    assert writer.last == PieceStopped(1001, 3, "")
    assert (writer.folder / PATH.manifest).exists()


def test_the_stop_of_an_interrupted_round_does_not_freeze_another_destination(writer: Writer, tmp_path: Path) -> None:
    """It writes nothing more, and looks all the same."""
    exchange = Exchange.prepared(writer, tmp_path)
    writer.job.abandon()
    writer.job._resources.merger.submit(lambda: None).result()
    writer.job._resources.storer.submit(lambda: None).result()
    task = replace(TASK, broken_by="damaged", broken_at=1)
    writer.job = PieceJob(task, MemoryLog(), FileDestination(writer.folder), writer.job._resources)
    until(lambda: not writer.step() and writer.job._end is not None)
    exchange.do()
    writer.job.stop(60)
    until(lambda: writer.step() or writer.job._chores.failure != "")
    failure, is_frozen = writer.job._chores.failure, (writer.folder / PATH.manifest).exists()
    exchange.undo()
    writer.clock.now += 1
    until(writer.step)

    assert "was exchanged" in failure
    assert not is_frozen
    assert (writer.folder / PATH.manifest).exists()


def test_removed_claims_are_told_and_written_again(writer: Writer) -> None:
    """Readers know by them whose log this is."""
    info = (writer.folder / PATH.info).read_bytes()
    FileDestination(writer.folder).delete(PATH.info)
    writer.clock.now += CLAIMS_EVERY

    def told() -> bool:
        writer.clock.now += 1
        return writer.is_troubled("was removed from the destination, and is written again soon")

    until(told)
    until(lambda: not told() and (writer.folder / PATH.info).exists())
    until(lambda: not writer.step() and writer.trouble == "")

    cluster = load_record(ClusterInfo, (writer.folder / CLAIM).read_bytes())
    assert (cluster.cluster, cluster.identity) == (TASK.cluster, TASK.identity)
    assert load_record(PieceInfo, (writer.folder / PATH.info).read_bytes()) == load_record(PieceInfo, info)


def test_a_look_at_the_lock_that_is_not_answered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system that hangs may hang there first."""
    clock, silences = Clock(), list[str]()
    watched = WatchedDestination(MemoryDestination(), clock)
    lock = watched.lock("a/writer", "a test")

    def hangs(_: MemoryLock) -> bool:
        clock.now += SILENCE + 1
        silences.append(watched.silence)
        return True

    monkeypatch.setattr(MemoryLock, "is_in_place", hangs)
    assert lock.is_in_place()
    assert silences == ["the destination has not answered for 5 s (looking at a/writer)"]
    assert watched.silence == ""
