"""Taking data backups: hot passes, pauses that are too short, instant copies, and destinations that fail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redoubt.archive.encryption import Key
from redoubt.archive.record import seal
from redoubt.archive.store import ArchiveError
from redoubt.backup import mirror, parts, taking
from redoubt.backup.pace import Pace
from redoubt.backup.taking import BackupFailedError, Taking, TakingOptions
from redoubt.destinations.file import FileDestination
from redoubt.model.seams import DestinationError
from tests.archive.fakes import MemoryDestination, know
from tests.service.disks import SmallDisk

from .fakes import INFO, PATH, FolderSource, content_of, store_in, stored_content

CHUNK = mirror.CHUNK


class CancelledError(Exception):
    """The backup is not wanted any more."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An engine's folder: a large file with a hole, a small one."""
    folder = tmp_path / "engine"
    (folder / "store").mkdir(parents=True)
    with (folder / "store/block_file").open("wb") as file:
        file.write(os.urandom(2 * CHUNK))
        file.seek(5 * CHUNK)
        file.write(os.urandom(CHUNK))
    (folder / "store/meta.db").write_bytes(b"meta")
    return folder


@pytest.fixture
def destination() -> MemoryDestination:
    """Where it goes."""
    return MemoryDestination()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "_LOOK_PAUSE", 0.0)


def taking_of(source: FolderSource, destination: Any, terms: TakingOptions | None = None, **kinds: Any) -> Taking:
    """A backup of the source."""
    wait = kinds.pop("wait", lambda _seconds: None)
    return Taking(
        source, store_in(destination), INFO, terms or TakingOptions(), lambda _done, _all: None, wait, **kinds
    )


def overwrite(path: Path, chunk: int) -> None:
    """Give a chunk of a file another content."""
    with path.open("r+b") as file:
        file.seek(chunk * CHUNK)
        file.write(os.urandom(CHUNK))


def names_in(destination: MemoryDestination) -> set[str]:
    """The objects in the set's folder."""
    return {name.rpartition("/")[2] for name in destination.objects}


def test_what_changed_since_is_read_while_the_engine_stands_still(root: Path, destination: MemoryDestination) -> None:
    """The set has the files as they were then: changed, new, and gone ones; holes stay holes."""
    source = FolderSource(root)

    def on_listing(_number: int) -> None:
        if source.is_standing:
            overwrite(root / "store/block_file", 1)
            (root / "store/new").write_bytes(b"new")
            (root / "store/meta.db").unlink(missing_ok=True)

    source.on_listing = on_listing
    manifest = taking_of(source, destination).run()

    assert stored_content(store_in(destination)) == content_of(root)
    summary = manifest.summary
    assert (summary.method, summary.passes, summary.pause_us) == ("hot", 2, 250_000)
    assert (summary.start_lsn, summary.start_scn, summary.snapshot_lsn, summary.snapshot_scn) == (100, 1000, 200, 2000)
    assert summary.input_bytes == 3 * CHUNK + 3
    assert summary.output_bytes == sum(part.size for part in manifest.parts)
    assert store_in(destination).manifest() == manifest
    assert names_in(destination) == {"backup_set_info", "part_00000001.zst", "single_backup_set_info"}


def test_a_pause_that_was_too_short_leaves_no_trace(root: Path, destination: MemoryDestination) -> None:
    """What was read in it counts for nothing; it is tried again."""
    source = FolderSource(root, pauses=[0, 1, 3])

    def on_listing(_number: int) -> None:
        if source.is_standing:
            overwrite(root / "store/block_file", 0)
            (root / "store/meta.db").write_bytes(os.urandom(10))

    source.on_listing = on_listing
    manifest = taking_of(source, destination).run()

    assert stored_content(store_in(destination)) == content_of(root)
    assert source.pauses == []
    assert manifest.summary.passes > 2


@pytest.mark.parametrize(
    ("pauses", "pace", "why"),
    [([0] * 1000, 0.0, "the pause is over"), ([], 10.0, r"the last pass would take about \d+\.\d s")],
    ids=["it never suffices", "it would not suffice"],
)
def test_patience_has_an_end(
    root: Path,
    destination: MemoryDestination,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[int],
    pace: float,
    why: str,
) -> None:
    """It says why, and what to do. There is no manifest then, and no part."""
    monkeypatch.setattr(mirror.Mirror, "seconds_for", lambda _mirror, _files: pace)
    now = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    source = FolderSource(root, pauses=pauses)
    with pytest.raises(
        BackupFailedError, match=rf"{why}, but the engine may be paused for at most 1 s: allow a longer"
    ):
        taking_of(source, destination, TakingOptions(patience=3.0)).run()

    assert names_in(destination) == {"backup_set_info"}


def test_what_is_kept_in_memory_is_bounded(
    root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If more has changed, another hot pass comes first."""
    monkeypatch.setattr(taking, "_MOST_CHANGED", CHUNK)
    source = FolderSource(root)

    def on_listing(number: int) -> None:
        if number == 3:
            assert source.is_standing
            for chunk in (0, 1):
                overwrite(root / "store/block_file", chunk)

    source.on_listing = on_listing
    manifest = taking_of(source, destination).run()

    assert stored_content(store_in(destination)) == content_of(root)
    assert manifest.summary.passes == 3


def test_files_come_and_go_while_they_are_read(root: Path, destination: MemoryDestination) -> None:
    """One that is gone when it is to be read is left out, while the engine runs."""
    source = FolderSource(root)

    def open_file(file: Any) -> int:
        if not source.is_standing and file.path == "store/meta.db":
            (root / "store/meta.db").unlink(missing_ok=True)
        return os.open(root / file.path, os.O_RDONLY)

    source.open = open_file  # type: ignore[method-assign]
    taking_of(source, destination).run()

    assert set(stored_content(store_in(destination))) == {"store/block_file"}


def test_a_file_that_changes_in_the_pause_is_no_instant(root: Path, destination: MemoryDestination) -> None:
    """Somebody else did that; the pause counts for nothing."""
    source, done = FolderSource(root), list[str]()

    def open_file(file: Any) -> int:
        if source.is_standing and not done:
            done.append(file.path)
            raise FileNotFoundError(file.path)
        return os.open(root / file.path, os.O_RDONLY)

    source.open = open_file  # type: ignore[method-assign]
    taking_of(source, destination).run()

    assert done
    assert stored_content(store_in(destination)) == content_of(root)


def test_instant_copies_are_read_while_the_engine_goes_on(root: Path, destination: MemoryDestination) -> None:
    """The set has what was there in the pause; nothing is left of the copies."""
    source, before = FolderSource(root, can_clone=True), content_of(root)
    find = source.files_in

    def files_in(clone: Path) -> Any:
        overwrite(root / "store/block_file", 0)
        return find(clone)

    source.files_in = files_in  # type: ignore[method-assign]
    manifest = taking_of(source, destination).run()

    assert stored_content(store_in(destination)) == before != content_of(root)
    assert (manifest.summary.method, manifest.summary.passes) == ("reflink", 1)
    assert source.clones == 2
    assert not list(root.parent.glob("clone-*"))


def test_instant_copies_that_take_too_long_are_given_up(root: Path, destination: MemoryDestination) -> None:
    """After a few tries the files are copied; so they are where the disk has no room for instant copies in the end."""
    slow = FolderSource(root, can_clone=True, pauses=[0, 0, 0])
    assert taking_of(slow, destination).run().summary.method == "hot"
    assert not list(root.parent.glob("clone-*"))

    destination.objects.clear()
    full = FolderSource(root, can_clone=True)
    full.on_listing = lambda _number: None
    clone = full.clone

    def clone_once() -> Any:
        full.can_clone = not full.is_standing
        return clone()

    full.clone = clone_once  # type: ignore[method-assign]
    assert taking_of(full, destination).run().summary.method == "hot"
    assert stored_content(store_in(destination)) == content_of(root)


def test_instant_copies_may_be_unwanted(root: Path, destination: MemoryDestination) -> None:
    """Then none are tried."""
    source = FolderSource(root, can_clone=True)

    assert taking_of(source, destination, TakingOptions(may_clone=False)).run().summary.method == "hot"
    assert source.clones == 0


def test_the_fingerprint_is_of_the_snapshot(root: Path, destination: MemoryDestination) -> None:
    """It is there when the manifest is."""
    asked = list[int]()

    def fingerprint(scn: int) -> bytes:
        asked.append(scn)
        return b"print"

    summary = taking_of(FolderSource(root), destination, fingerprint=fingerprint).run().summary

    assert asked == [summary.snapshot_scn]
    assert destination.objects[PATH.fingerprint] == b"print"
    assert destination.stored.index(PATH.fingerprint) < destination.stored.index(PATH.manifest)


def test_a_backup_is_good_without_a_fingerprint(root: Path, destination: MemoryDestination) -> None:
    """Whatever became of it."""

    def fail(_scn: int) -> bytes:
        raise RuntimeError("no such table")

    taking_of(FolderSource(root), destination, fingerprint=fail).run()

    assert store_in(destination).manifest() is not None
    assert PATH.fingerprint not in destination.objects


def test_an_encrypted_set(root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the files or of the fingerprint is readable; with the key the set is as it was taken."""
    know(monkeypatch, Key(b"k" * 32))
    (root / "store" / "secret").write_bytes(b"a secret of the database" * 9)
    text = seal(b'{"tables": "a secret of the database","format":2}')
    taking = taking_of(FolderSource(root), destination, TakingOptions(encrypts=True), fingerprint=lambda _scn: text)
    summary = taking.run().summary
    store = store_in(destination)

    assert not [name for name, data in destination.objects.items() if b"a secret of the database" in data]
    assert store.remark(store.path.fingerprint) == text
    manifest = store.manifest()
    assert manifest is not None
    assert {store.read_part(part)[0].data_key for part in manifest.parts} == {summary.data_key}


def test_a_limited_set(root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has the place in the pace that its object needs, with the limit that was set."""
    limits, sizes = list[float](), list[int]()

    class Recorded(Pace):
        def __init__(self, limit: float) -> None:
            super().__init__(0)
            limits.append(limit)

        def wait(self, size: int) -> None:
            sizes.append(size)

    monkeypatch.setattr("redoubt.backup.taking.Pace", Recorded)
    parts = taking_of(FolderSource(root), destination, TakingOptions(net_limit=7)).run().parts

    assert limits == [7]
    assert sorted(sizes) == sorted(part.size for part in parts)


def test_a_set_is_never_written_twice(root: Path, destination: MemoryDestination) -> None:
    """What is there stays as it is."""
    taking_of(FolderSource(root), destination).run()
    before = destination.objects.copy()
    with pytest.raises(ArchiveError, match="is never overwritten"):
        taking_of(FolderSource(root), destination).run()

    assert destination.objects == before


def test_a_part_that_is_no_longer_needed_is_removed(
    root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that was stored twice takes the room of one, if it filled a part."""
    monkeypatch.setattr(parts, "_PART_SIZE", CHUNK)
    source = FolderSource(root)
    source.on_listing = lambda _number: overwrite(root / "store/block_file", 0) if source.is_standing else None
    manifest = taking_of(source, destination).run()

    assert [part.number for part in manifest.parts] == [2, 3, 4]
    assert {name for name in names_in(destination) if name.startswith("part")} == {
        f"part_{part.number:08d}.zst" for part in manifest.parts
    }
    assert stored_content(store_in(destination)) == content_of(root)


def failing_at(name: str, operation: str = "put") -> Callable[[str, str], None]:
    """Make that operation on that object fail."""

    def fail(what: str, which: str) -> None:
        if what == operation and which.endswith(name):
            raise DestinationError(f"{which}: the disk is full")

    return fail


@pytest.mark.parametrize("small", [False, True], ids=["the last part", "an early part"])
def test_a_part_that_cannot_be_stored_fails_the_backup(
    root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch, *, small: bool
) -> None:
    """There is no manifest, and what was stored is removed: the disk may be full of it."""
    if small:
        monkeypatch.setattr(parts, "_PART_SIZE", CHUNK)
    destination.failing = failing_at("part_00000001.zst")
    with pytest.raises(DestinationError, match="the disk is full"):
        taking_of(FolderSource(root), destination).run()

    assert names_in(destination) == {"backup_set_info"}


def test_what_cannot_be_removed_does_not_hide_why_a_backup_failed(
    root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trouble is told."""
    monkeypatch.setattr(parts, "_PART_SIZE", CHUNK)
    at_put, at_delete = failing_at("part_00000002.zst"), failing_at("", "delete")

    def fail(operation: str, name: str) -> None:
        at_put(operation, name)
        at_delete(operation, name)

    destination.failing = fail
    with pytest.raises(DestinationError, match="part_00000002"):
        taking_of(FolderSource(root), destination).run()

    assert PATH.manifest not in destination.objects


def test_garbage_in_the_folder_is_in_the_way_and_stays(root: Path, destination: MemoryDestination) -> None:
    """Nothing is ever overwritten, nor what is another's removed."""
    name = PATH.part(1)
    destination.objects[name] = b"garbage"
    with pytest.raises(DestinationError, match="exists already"):
        taking_of(FolderSource(root), destination).run()

    assert destination.objects[name] == b"garbage"
    assert PATH.manifest not in destination.objects


def test_a_backup_that_is_cancelled_leaves_no_parts(
    root: Path, destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at the next chunk."""
    monkeypatch.setattr(parts, "_PART_SIZE", CHUNK)
    waits = iter(range(3))

    def wait(_seconds: float) -> None:
        if next(waits, None) is None:
            raise CancelledError

    with pytest.raises(CancelledError):
        taking_of(FolderSource(root), destination, wait=wait).run()

    assert names_in(destination) == {"backup_set_info"}


def test_progress_is_told(root: Path, destination: MemoryDestination) -> None:
    """Bytes that were read, of those that there are to read."""
    told = list[tuple[int, int]]()
    source = FolderSource(root)
    Taking(
        source, store_in(destination), INFO, TakingOptions(), lambda *progress: told.append(progress), lambda _: None
    ).run()

    assert told[-1] == (6 * CHUNK + 4, 6 * CHUNK + 4)
    assert told == sorted(told)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 1 MiB."""
    disk = SmallDisk(tmp_path, 1024 * 1024)
    yield disk
    disk.close()


def test_a_full_disk_fails_the_backup_and_is_not_left_full(root: Path, small_disk: SmallDisk) -> None:
    """What was stored before it was full is removed."""
    (root / "store/more").write_bytes(os.urandom(24 * CHUNK))
    with pytest.raises(DestinationError, match="free some space there"):
        taking_of(FolderSource(root), FileDestination(small_disk.path)).run()

    assert store_in(FileDestination(small_disk.path)).manifest() is None
    assert small_disk.used() < 100 * 1024
