"""Deleting a piece's log from a destination: what stays, in what order the rest goes, and what stops it."""

from __future__ import annotations

import pytest

from redoubt.archive.deletion import Deletion, SetDeletion, delete_some
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import dump_record, load_record
from redoubt.archive.set_layout import set_path
from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import DestinationError, LockedError, NotPermittedError, ObjectMissingError
from tests.archive.fakes import MemoryDestination

OURS = ClusterInfo("redoubt", 1, "identity")
PATH = ClusterPath("redoubt", 1)
FOLDER = PATH.piece(1001, PieceKey(3, 2, 20260921))
RECORD = Deletion(1001, 3, 2, job=9, statement="ALTER SYSTEM DELETE BACKUPPIECE 2", host="there", began_at=5)
TOMBSTONE = [FOLDER.hole, FOLDER.interruption, FOLDER.info, FOLDER.manifest]
SEGMENTS = [FOLDER.segment(f"{start:020}-{start + 10:020}.zst") for start in (0, 10, 20)]


def destination() -> MemoryDestination:
    """With our cluster's name, a piece of three segments, and another piece."""
    objects = dict.fromkeys([*TOMBSTONE, *SEGMENTS, PATH.piece(1001, PieceKey(4)).segment("x")], b"...")
    return MemoryDestination(objects | {PATH.info: dump_record(OURS)})


def _never() -> bool:
    return False


def test_a_deleted_piece_says_that_it_was_deleted() -> None:
    """Claim, manifest, hole and interruption stay beside the record; nothing of another piece is touched."""
    there = destination()
    others = set(there.objects) - set(SEGMENTS)

    assert not delete_some(there, OURS, FOLDER, RECORD, _never), "the next call sees that nothing is left"
    assert delete_some(there, OURS, FOLDER, RECORD, _never)

    assert others | {FOLDER.deletion} == set(there.objects)
    assert load_record(Deletion, there.objects[FOLDER.deletion]) == RECORD
    assert there.locks == {}


def test_the_record_comes_first_and_the_oldest_segment_goes_first() -> None:
    """So that what is half deleted is seen to be so, with the record and without."""
    there, did = destination(), []
    there.failing = lambda operation, name: did.append((operation, name)) if operation in {"put", "delete"} else None

    delete_some(there, OURS, FOLDER, RECORD, _never)

    assert did == [("put", FOLDER.deletion), *(("delete", name) for name in SEGMENTS)]


def test_the_manifest_of_a_data_backup_goes_first() -> None:
    """So that nobody takes for whole what is half deleted; the claim stays, and so its number is taken for ever."""
    there, did = destination(), []
    folder = set_path(PATH, 1001, SetKey(7, 20260921))
    record = SetDeletion(1001, 7, job=9, statement="ALTER SYSTEM DELETE BACKUPSET 7", host="there", began_at=5)
    for name in (folder.info, folder.part(1), folder.part(2), folder.manifest):
        there.objects[name] = b"..."
    there.failing = lambda operation, name: did.append((operation, name)) if operation in {"put", "delete"} else None

    assert not delete_some(there, OURS, folder, record, _never)
    assert delete_some(there, OURS, folder, record, _never)

    gone = [("delete", folder.manifest), ("delete", folder.part(1)), ("delete", folder.part(2))]
    assert did == [("put", folder.deletion), *gone, ("put", folder.deletion)]
    assert load_record(SetDeletion, there.objects[folder.deletion]) == record
    assert folder.info in there.objects


def test_a_deletion_goes_on_where_it_was() -> None:
    """After each step, and after a crash at each object; the first record stays."""
    there = destination()
    times = iter([False, True])
    assert not delete_some(there, OURS, FOLDER, RECORD, lambda: next(times))
    assert SEGMENTS[0] not in there.objects
    assert SEGMENTS[1] in there.objects

    again = Deletion(1001, 3, 2, job=10, statement="again", host="there", began_at=6)
    assert not delete_some(there, OURS, FOLDER, again, _never)
    assert delete_some(there, OURS, FOLDER, again, _never)
    assert load_record(Deletion, there.objects[FOLDER.deletion]) == RECORD


def test_a_folder_that_is_not_there_is_deleted() -> None:
    """And is not made for the record: a tenant that never came to archive anything."""
    there = destination()
    assert delete_some(there, OURS, PATH.piece(1002, PieceKey(3)), RECORD, _never)
    assert not [name for name in there.objects if "/1002/" in name]


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (dump_record(ClusterInfo("redoubt", 1, "other")), "belongs to another cluster"),
        (b"{}", "damaged"),
        (None, "not there"),
    ],
)
def test_nothing_is_deleted_where_the_destination_is_not_ours(info: bytes | None, why: str) -> None:
    """A disk that is not mounted, or another one in its place."""
    there = destination()
    del there.objects[PATH.info]
    if info is not None:
        there.objects[PATH.info] = info
    before = dict(there.objects)

    with pytest.raises((DestinationError, ObjectMissingError), match=why):
        delete_some(there, OURS, FOLDER, RECORD, _never)
    assert there.objects == before


def test_nothing_is_deleted_under_a_writer() -> None:
    """Whoever writes into the folder holds its lock."""
    there = destination()
    there.locks[FOLDER.lock] = "a worker"
    with pytest.raises(LockedError):
        delete_some(there, OURS, FOLDER, RECORD, _never)
    assert set(SEGMENTS) <= set(there.objects)


def test_an_object_that_cannot_be_deleted_holds_up_no_other() -> None:
    """The error that names it comes when the others are gone; the next call tries it again."""
    there = destination()
    stuck = SEGMENTS[0]

    def fail(operation: str, name: str) -> None:
        if operation == "delete" and name == stuck:
            raise NotPermittedError(f"{name}: an attribute forbids it")

    there.failing = fail
    for _ in range(2):
        with pytest.raises(DestinationError, match=f"{stuck}: an attribute forbids it$"):
            delete_some(there, OURS, FOLDER, RECORD, _never)
        assert [name for name in SEGMENTS if name in there.objects] == [stuck]
    assert there.locks == {}
    there.failing = lambda _operation, _name: None
    assert not delete_some(there, OURS, FOLDER, RECORD, _never)
    assert delete_some(there, OURS, FOLDER, RECORD, _never)


def test_a_destination_that_deletes_nothing_is_not_asked_for_ever() -> None:
    """Each of a thousand requests may take a minute until it fails."""
    there, tried = destination(), []
    more = [FOLDER.segment(f"{start:020}-{start + 10:020}.zst") for start in range(30, 90, 10)]
    there.objects |= dict.fromkeys(more, b"...")

    def fail(operation: str, name: str) -> None:
        if operation == "delete":
            tried.append(name)
            raise DestinationError(f"{name}: no answer")

    there.failing = fail
    with pytest.raises(DestinationError, match=r"no answer \(and 2 other objects of this folder\)"):
        delete_some(there, OURS, FOLDER, RECORD, _never)
    assert tried == SEGMENTS
