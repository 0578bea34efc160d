"""Copies of pieces and data backups: complete, checked, resumed, and never mixed up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from redoubt.archive.copying import Copied, CopyError, FolderCopy, check_apart
from redoubt.archive.encryption import Key
from redoubt.archive.layout import PiecePath, Takeover
from redoubt.archive.manifest import Entry, dump_manifest, load_manifest
from redoubt.archive.record import dump_record, seal
from redoubt.archive.rewrapping import rewrap
from redoubt.archive.segment import SegmentName, encode_segment
from redoubt.archive.set_layout import SetPath, folder_of
from redoubt.archive.store import PieceStore
from redoubt.archiver.merger import merge, remove
from redoubt.archiver.merging import Part
from redoubt.model.seams import DestinationError, LockedError, ObjectInfo, ObjectMissingError
from tests.archive.fakes import MemoryDestination, MemoryLock, know
from tests.verify.small import CLUSTER, DELETED, FIRST, LIVE, SECOND, SET, TENANT, SmallArchive


@pytest.fixture(scope="module")
def small() -> SmallArchive:
    """A small archive."""
    return SmallArchive()


def piece(key: object) -> PiecePath:
    """A piece's folder."""
    found = folder_of(f"{CLUSTER.clog(TENANT)}/{key}/round_info")
    assert isinstance(found, PiecePath)
    return found


def backup() -> SetPath:
    """The first set's folder."""
    found = folder_of(f"{CLUSTER}/{TENANT}/data/{SET}")
    assert isinstance(found, SetPath)
    return found


def under(destination: MemoryDestination, folder: PiecePath | SetPath) -> dict[str, bytes]:
    """The objects of a folder."""
    return {name: data for name, data in destination.objects.items() if name.startswith(f"{folder.folder}/")}


FOLDERS: dict[str, PiecePath | SetPath] = {
    "a piece": piece(FIRST),
    "an interrupted piece": piece(SECOND),
    "a data backup": backup(),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_a_copy_is_the_same_bytes_with_the_claim_first_and_the_manifest_last(small: SmallArchive, what: str) -> None:
    """So a reader of half a copy sees a piece or backup that is not complete."""
    folder, target, told = FOLDERS[what], MemoryDestination(), list[tuple[int, int]]()
    done = FolderCopy(small.destination, target, folder).run("a test", lambda *each: told.append(each))
    assert target.objects == under(small.destination, folder)
    assert (target.stored[0], target.stored[-1]) == (folder.info, folder.manifest)
    assert done == Copied(len(target.objects), sum(map(len, target.objects.values())), len(target.objects))
    assert told[-1][0] == told[-1][1] > 0
    assert not target.locks
    assert not any(small.destination.readers.values())


@pytest.mark.parametrize("what", FOLDERS)
def test_a_copy_that_ends_anywhere_is_continued(small: SmallArchive, what: str) -> None:
    """Nothing is stored twice."""
    folder = FOLDERS[what]
    for stop in range(len(under(small.destination, folder))):
        target = MemoryDestination()

        def fail(operation: str, _name: str, target: MemoryDestination = target, stop: int = stop) -> None:
            if operation == "put" and len(target.stored) == stop:
                raise DestinationError("the network is down")

        target.failing = fail
        with pytest.raises(DestinationError, match="the network is down"):
            FolderCopy(small.destination, target, folder).run("a test")
        assert not target.locks
        target.failing = lambda _operation, _name: None
        done = FolderCopy(small.destination, target, folder).run("a test")
        assert target.objects == under(small.destination, folder)
        assert (done.stored, len(target.stored)) == (done.objects - stop, done.objects)


@pytest.mark.parametrize("what", FOLDERS)
def test_damage_is_not_copied(small: SmallArchive, what: str) -> None:
    """Each object of the folder, flipped or lost, ends the copy with its name; there is no manifest then."""
    folder = FOLDERS[what]
    for name, data in under(small.destination, folder).items():
        for damaged in (data[:-2] + bytes([data[-2] ^ 1]) + data[-1:], data + b"more", None):
            source, target = small.copy(), MemoryDestination()
            if damaged is None:
                del source.objects[name]
            else:
                source.objects[name] = damaged
            if damaged is None and name.endswith(("interruption", "hole_info")):
                continue  # nothing says that it was there
            with pytest.raises(CopyError, match=name.rpartition("/")[2]):
                FolderCopy(source, target, folder).run("a test")
            assert folder.manifest not in target.objects


def test_what_is_no_data_of_the_piece_stays(small: SmallArchive) -> None:
    """A former writer's object, a covered part and a stranger are not copied; a takeover is."""
    source, target, folder = small.copy(), MemoryDestination(), piece(FIRST)
    wanted = under(source, folder)
    takeover = folder.takeover(1, 2**40)
    wanted[takeover] = source.objects[takeover] = dump_record(Takeover(1, 2**40, "a writer"), indent=2)
    source.objects[f"{folder.folder}/notes.txt"] = b"of a person"
    FolderCopy(source, target, folder).run("a test")
    assert target.objects == wanted


def test_a_fingerprint_is_copied_unless_it_is_damaged(small: SmallArchive) -> None:
    """No restore needs it. The records of drills are each destination's own."""
    source, folder = small.copy(), backup()
    wanted = under(source, folder)
    source.objects[folder.drill("20260101T000000Z")] = dump_record(Takeover(1, 2, "any record"), indent=2)
    for text, copied in ((dump_record(Takeover(1, 2, "any record"), indent=2), True), (b"{damaged", False)):
        source.objects[folder.fingerprint] = text
        target = MemoryDestination()
        FolderCopy(source, target, folder).run("a test")
        assert target.objects == wanted | ({folder.fingerprint: text} if copied else {})


def test_what_is_not_complete_is_not_copied(small: SmallArchive) -> None:
    """A piece that is being written has no manifest."""
    with pytest.raises(CopyError, match=r"is not complete: it has no single_piece_info"):
        FolderCopy(small.destination, MemoryDestination(), piece(LIVE)).run("a test")


def test_what_was_deleted_is_not_copied_and_not_brought_back(small: SmallArchive) -> None:
    """Neither from the source nor to a copy that somebody deleted."""
    with pytest.raises(CopyError, match="was deleted: there is nothing to copy"):
        FolderCopy(small.destination, MemoryDestination(), piece(DELETED)).run("a test")
    target = MemoryDestination({piece(FIRST).deletion: b"{}"})
    with pytest.raises(CopyError, match="was deleted in the target: choose another one"):
        FolderCopy(small.destination, target, piece(FIRST)).run("a test")


def test_another_archive_of_the_same_name_is_no_copy(small: SmallArchive) -> None:
    """A clone of the cluster has the same identity, and other log: nothing of the two is mixed."""
    folder = piece(FIRST)
    other = SmallArchive(encrypts=False)
    text = other.destination.objects[folder.info].replace(b'"main"', b'"else"')
    other.destination.objects[folder.info] = _sealed_again(text)
    for mends in (False, True):
        with pytest.raises(CopyError, match="one is no copy of the other"):
            FolderCopy(small.destination, other.destination, folder, mends=mends).run("a test")


def _sealed_again(text: bytes) -> bytes:
    return seal(text[: text.rfind(b",")] + b"\n}")


def test_an_object_that_is_there_with_other_content_is_named(small: SmallArchive) -> None:
    """A copy is never overwritten, unless somebody asks to mend it."""
    folder, target = piece(FIRST), MemoryDestination()
    FolderCopy(small.destination, target, folder).run("a test")
    name = next(name for name in target.objects if name.endswith(".zst"))
    target.objects[name] = b"damaged"
    with pytest.raises(CopyError, match="with other content: run redoubt verify on the copy"):
        FolderCopy(small.destination, target, folder).run("a test")
    assert FolderCopy(small.destination, target, folder, mends=True).run("a test").stored == 1
    assert target.objects == under(small.destination, folder)


def test_a_folder_in_use_is_not_copied(small: SmallArchive) -> None:
    """A writer or a deletion has the source's lock, or another copy the target's."""
    folder = piece(FIRST)
    source, target = small.copy(), MemoryDestination()
    lock = source.lock(folder.lock, "a deletion")
    with pytest.raises(LockedError, match="a deletion"):
        FolderCopy(source, target, folder).run("a test")
    lock.release()
    target.lock(folder.lock, "another copy")
    with pytest.raises(LockedError, match="another copy"):
        FolderCopy(source, target, folder).run("a test")
    assert not any(source.readers.values())


def test_the_pace_counts_what_is_stored(small: SmallArchive) -> None:
    """And nothing that is there already."""
    folder, target, sizes = piece(FIRST), MemoryDestination(), list[int]()
    FolderCopy(small.destination, target, folder, pace=sizes.append).run("a test")
    assert sum(sizes) == sum(map(len, target.objects.values()))
    sizes.clear()
    FolderCopy(small.destination, target, folder, pace=sizes.append).run("a test")
    assert sizes == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "redoubt",
        "redoubt/1/incarnation_1/1001/clog",
        "redoubt/1/incarnation_1/1001/clog/1_2",
        "redoubt/1/incarnation_2/1001/clog/1",
        "redoubt/x/incarnation_1/1001/clog/1",
        "redoubt/1/incarnation_1/0/clog/1",
        "redoubt/1/incarnation_1/1001/data/1",
        "../1/incarnation_1/1001/clog/1",
    ],
)
def test_names_that_belong_to_no_folder(name: str) -> None:
    """What a destination says may be anything."""
    assert folder_of(name) is None


@pytest.mark.parametrize(
    ("name", "size"),
    [("../../../cron.d/evil", 5), ("interruption", 5), (f"{0:020d}-{9:020d}.zst", 2**50), ("round_info", 5)],
)
def test_a_manifest_that_lists_no_segment_is_refused(small: SmallArchive, name: str, size: int) -> None:
    """Whoever writes into one destination writes nowhere else by that, and costs no memory."""
    source, folder, target = small.copy(), piece(FIRST), MemoryDestination()
    manifest = load_manifest(source.objects[folder.manifest])
    listed = replace(manifest, segments=(*manifest.segments, Entry(name, size, "0" * 64)))
    source.objects[folder.manifest] = dump_manifest(listed)
    source.objects[f"{folder.folder}/{name}"] = b"evil!"
    with pytest.raises(CopyError, match="that is no segment"):
        FolderCopy(source, target, folder).run("a test")
    assert target.objects == {}


def test_one_place_under_two_names_is_no_copy(small: SmallArchive) -> None:
    """Whatever makes the names differ: a bind mount, a host's other name."""
    source = small.copy()
    with pytest.raises(CopyError, match="the same place under two names"):
        check_apart(source, source)
    assert source.objects == small.destination.objects
    check_apart(source, target := MemoryDestination())
    assert target.objects == {}


def test_an_answer_that_is_lost_is_no_failure(small: SmallArchive) -> None:
    """The object that is there is ours; another one is not."""
    folder, target = piece(FIRST), MemoryDestination()
    target.lost_answer = lambda _name: None
    hidden = MemoryDestination.list

    def none(destination: MemoryDestination, prefix: str) -> Iterator[ObjectInfo]:
        return iter([]) if destination is target else hidden(destination, prefix)

    FolderCopy(small.destination, target, folder).run("a test")
    with patch.object(MemoryDestination, "list", none):
        assert FolderCopy(small.destination, target, folder).run("a test").objects == len(target.objects)
        target.objects[next(name for name in target.objects if name.endswith(".zst"))] = b"another's"
        with pytest.raises(CopyError, match="was stored by somebody else meanwhile"):
            FolderCopy(small.destination, target, folder).run("a test")


def test_a_lock_that_was_lost_changes_nothing_more(small: SmallArchive) -> None:
    """The process has slept past its lease; the job tries again."""
    folder, target = piece(FIRST), MemoryDestination()
    with (
        patch.object(MemoryLock, "is_in_place", lambda _lock: False),
        pytest.raises(DestinationError, match="was lost"),
    ):
        FolderCopy(small.destination, target, folder).run("a test")
    assert target.objects == {}


def test_segments_that_were_merged_after_the_manifest(small: SmallArchive) -> None:
    """By a former writer: the merged object is copied in their place, and the copy is as good as the original."""
    source, folder = small.copy(), piece(FIRST)
    store = PieceStore(source, folder)
    listed = store.segments()
    assert len(listed) == 2
    entries = []
    for name, _ in listed:
        header, log = store.read(name)
        source.delete(folder.segment(name))
        again = encode_segment(replace(header, codec="none"), log)
        plain = SegmentName(name.start_lsn, name.end_lsn, ".redo")
        store.put(plain, again)
        entries.append(Entry(str(plain), len(again), hashlib.sha256(again).hexdigest()))
    manifest = load_manifest(source.objects[folder.manifest])
    source.objects[folder.manifest] = dump_manifest(replace(manifest, segments=tuple(entries)))
    parts = [Part(*each) for each in store.segments()]
    merge(store, parts)
    remove(store, parts)
    target = MemoryDestination()
    FolderCopy(source, target, folder).run("a test")
    assert target.objects == under(source, folder)
    (merged,) = (name for name in target.objects if name.endswith(".redo"))
    source.objects[merged] = source.objects[merged][:-1] + b"?"
    with pytest.raises(CopyError, match="is damaged"):
        FolderCopy(source, MemoryDestination(), folder).run("a test")


def test_a_key_that_was_wrapped_again_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy from before holds the key under the former master key, and the archive has the new one."""
    former, present = Key(b"1" * 32), Key(b"2" * 32)
    know(monkeypatch, former)
    encrypted = SmallArchive(encrypts=True)
    source, target, folder = encrypted.copy(), MemoryDestination(), piece(FIRST)
    FolderCopy(source, target, folder).run("a test")
    know(monkeypatch, present, former)
    assert all(not each.problem for each in rewrap(source, present))
    before = dict(source.objects)
    assert FolderCopy(target, source, folder, mends=True).run("a test").stored == 0
    assert source.objects == before
    name = next(name for name in source.objects if name.startswith(f"{folder.folder}/data_key"))
    source.objects[name] = b"damaged"
    assert FolderCopy(target, source, folder, mends=True).run("a test").stored == 1


def test_what_vanishes_between_the_listing_and_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is just wrapped again: the next attempt finds the new one. A record of the piece is missed."""
    know(monkeypatch, Key(b"1" * 32))
    source, folder = SmallArchive(encrypts=True).copy(), piece(SECOND)
    for part, error in (("/data_key", ObjectMissingError), ("/interruption", CopyError)):

        def fail(operation: str, name: str, part: str = part) -> None:
            if operation == "get" and part in name:
                raise ObjectMissingError(f"{name} is not there")

        source.failing = fail
        with pytest.raises(error):
            FolderCopy(source, MemoryDestination(), folder).run("a test")
