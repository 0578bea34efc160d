"""Mending a destination from a copy: what verify found damaged is as before, and nothing else is touched."""

from __future__ import annotations

import pytest

from redoubt.archive.copying import CopyError, FolderCopy
from redoubt.archive.layout import ClusterInfo
from redoubt.archive.record import dump_record
from redoubt.archive.set_layout import folder_of
from redoubt.model.seams import DestinationError, NotPermittedError
from redoubt.verify.repairing import Repaired, repair
from tests.archive.fakes import MemoryDestination
from tests.verify.small import CLUSTER, FIRST, LIVE, SECOND, SET, TENANT, SmallArchive, flips, verify
from tests.verify.test_damage import CHANGES, name_in

_STAYS = {
    "the record of a deletion is gone",
    "a segment is doubled under another range",
    "a segment lies in another piece",
    "a segment is renamed",
    "two segments are swapped",
}
"""What a copy cannot mend: an object too many, and pieces that are not complete or were deleted."""


@pytest.fixture(scope="module")
def small() -> SmallArchive:
    """A small archive."""
    return SmallArchive()


@pytest.fixture(scope="module")
def copy(small: SmallArchive) -> MemoryDestination:
    """A copy of all that can be copied."""
    target = MemoryDestination({CLUSTER.info: small.destination.objects[CLUSTER.info]})
    folders = {name.rpartition("/")[0] for name in small.destination.objects}
    for each in sorted(folders):
        folder = folder_of(each)
        if folder and folder.manifest in small.destination.objects and folder.deletion not in small.destination.objects:
            FolderCopy(small.destination, target, folder).run("a test")
    return target


def mended(destination: MemoryDestination, copy: MemoryDestination) -> list[Repaired]:
    """Verify, and repair."""
    before = dict(copy.objects)
    done = list(repair(destination, copy, verify(destination), "a test"))
    assert copy.objects == before
    return done


def test_the_copy_alone_is_sound(copy: MemoryDestination) -> None:
    """It holds the complete pieces, and both data backups."""
    report = verify(copy)
    assert report.is_sound, report.damage
    assert report.tenants[0].windows


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_lost_or_moved_is_as_before(small: SmallArchive, copy: MemoryDestination, what: str) -> None:
    """Byte by byte; what stays damaged is still named."""
    destination = small.copy()
    CHANGES[what](small, destination)
    mended(destination, copy)
    if what in _STAYS:
        assert not verify(destination).is_sound
        return
    assert verify(destination).is_sound
    assert destination.objects == small.destination.objects


def test_a_flipped_bit_anywhere_is_mended(small: SmallArchive, copy: MemoryDestination) -> None:
    """In every object of a complete folder; the running piece has no copy."""
    objects = small.destination.objects
    for name, _, data in flips({name: data for name, data in objects.items() if f"/{LIVE}/" not in name}, step=97):
        destination = small.copy(objects | {name: data})
        if not verify(destination).damage or "/deletion" in name or "/1/round_info" in name:
            continue
        problems = [each.problem for each in mended(destination, copy) if each.problem]
        folder = folder_of(name)
        if folder is not None and folder.manifest not in copy.objects:
            assert problems  # of the deleted round only the tombstone is left, and nobody copies that
            continue
        assert not problems, name
        assert destination.objects == objects, name


def test_a_lost_piece_that_no_other_continues_stays_lost(small: SmallArchive, copy: MemoryDestination) -> None:
    """Verify does not know of it: a copy may also hold other destinations' pieces."""
    destination = small.copy(
        {name: data for name, data in small.destination.objects.items() if f"/{SECOND}/" not in name}
    )
    before = dict(destination.objects)
    mended(destination, copy)
    assert {name: data for name, data in destination.objects.items() if f"/{SECOND}/" not in name} == before


def test_the_running_piece_has_no_copy(small: SmallArchive, copy: MemoryDestination) -> None:
    """The report says so, and the rest is mended."""
    destination = small.copy()
    del destination.objects[name_in(destination, f"/{LIVE}/round_info")]
    name = name_in(destination, f"/{FIRST}/", ".zst")
    destination.objects[name] = b"damaged"
    done = {each.name.rpartition("/")[2]: each for each in mended(destination, copy)}
    assert done[str(FIRST)] == Repaired(f"{CLUSTER.clog(TENANT)}/{FIRST}", 1)
    assert "is not complete" in done[str(LIVE)].problem
    assert destination.objects[name] == small.destination.objects[name]


def test_a_copy_of_another_cluster_mends_nothing(small: SmallArchive, copy: MemoryDestination) -> None:
    """Also not if its cluster has the same name and id, or says nothing of itself."""
    name = name_in(copy, f"/{FIRST}/", ".zst")
    info = dump_record(ClusterInfo(CLUSTER.cluster, CLUSTER.cluster_id, "anothers"), indent=2)
    for said, problem in ((info, "of another cluster"), (None, "nothing shows whose copy it is")):
        destination, other = small.copy(), MemoryDestination(dict(copy.objects))
        destination.objects[name] = b"damaged"
        other.objects.pop(CLUSTER.info)
        if said:
            other.objects[CLUSTER.info] = said
        (done,) = mended(destination, other)
        assert problem in done.problem
        assert destination.objects[name] == b"damaged"


def test_damage_of_the_copy_mends_nothing(small: SmallArchive, copy: MemoryDestination) -> None:
    """What is good is not replaced by what is not."""
    name = name_in(copy, f"/{SET}/part_00000001")
    destination, other = small.copy(), MemoryDestination(dict(copy.objects))
    destination.objects[name] = b"damaged"
    other.objects[name] = b"damaged otherwise"
    (done,) = mended(destination, other)
    assert "differs from the manifest" in done.problem
    assert destination.objects[name] == b"damaged"


def test_a_destination_that_may_not_be_changed_says_so(small: SmallArchive, copy: MemoryDestination) -> None:
    """One folder's failure stops no other."""
    destination = small.copy()
    for part in (f"/{FIRST}/", f"/{SET}/part_"):
        destination.objects[name_in(destination, part, ".zst")] = b"damaged"

    def fail(operation: str, name: str) -> None:
        if operation == "delete" and f"/{FIRST}/" in name:
            raise NotPermittedError("this account may not delete")

    destination.failing = fail
    first, second = mended(destination, copy)
    assert first.problem == "this account may not delete"
    assert second == Repaired(f"{CLUSTER}/{TENANT}/data/{SET}", 1)


def test_a_copy_of_another_cluster_gives_no_name(small: SmallArchive, copy: MemoryDestination) -> None:
    """When the cluster's info is lost, the claims of its pieces say whose archive it is."""
    destination, other = small.copy(), MemoryDestination(dict(copy.objects))
    del destination.objects[CLUSTER.info]
    other.objects[CLUSTER.info] = dump_record(ClusterInfo(CLUSTER.cluster, CLUSTER.cluster_id, "anothers"), indent=2)
    before = dict(destination.objects)
    (done,) = mended(destination, other)
    assert "no intact claim of a piece shows that the copy is of this cluster" in done.problem
    assert destination.objects == before


def test_a_lost_piece_is_mended_at_the_second_attempt(small: SmallArchive, copy: MemoryDestination) -> None:
    """The first one has left an empty folder, or a lock."""
    objects = small.destination.objects
    destination = small.copy({name: data for name, data in objects.items() if f"/{FIRST}/" not in name})
    other = MemoryDestination(dict(copy.objects))

    def fail(operation: str, name: str) -> None:
        if operation == "get" and f"/{FIRST}/" in name and name.endswith(".zst"):
            raise DestinationError("the network is down")

    other.failing = fail
    done = {each.name.rpartition("/")[2]: each.problem for each in mended(destination, other)}
    assert done[str(FIRST)] == "the network is down"
    list(mended(destination, copy))
    assert destination.objects == objects


def test_one_object_that_cannot_be_mended_holds_up_no_other(small: SmallArchive, copy: MemoryDestination) -> None:
    """The report names it, and all others are as before; what is good is not read from the copy."""
    destination, other = small.copy(), MemoryDestination(dict(copy.objects))
    rotten, lost = name_in(copy, f"/{FIRST}/", ".zst"), name_in(copy, f"/{FIRST}/", ".lz4")
    destination.objects[rotten] = other.objects[rotten] = b"rotten in both"
    del destination.objects[lost]
    (done,) = mended(destination, other)
    assert (done.stored, rotten in done.problem) == (1, True)
    assert destination.objects[lost] == copy.objects[lost]
    del destination.objects[lost]
    destination.objects[rotten] = copy.objects[rotten]
    (done,) = mended(destination, other)
    assert done == Repaired(f"{CLUSTER.clog(TENANT)}/{FIRST}", 1)
    assert destination.objects == small.destination.objects


def test_a_destination_is_not_mended_from_itself(small: SmallArchive) -> None:
    """Under whatever name."""
    destination = small.copy()
    with pytest.raises(CopyError, match="the same place under two names"):
        list(repair(destination, destination, verify(destination), "a test"))


def test_a_claim_of_the_cluster_that_cannot_be_mended(small: SmallArchive, copy: MemoryDestination) -> None:
    """The cause is told, and the rest is mended."""
    destination = small.copy()
    destination.objects[CLUSTER.info] = b"damaged"
    destination.objects[name_in(destination, f"/{SET}/part_")] = b"damaged"

    def fail(operation: str, name: str) -> None:
        if operation == "delete" and name == CLUSTER.info:
            raise NotPermittedError("this account may not delete")

    destination.failing = fail
    info, folder = mended(destination, copy)
    assert (info, folder.stored) == (Repaired(CLUSTER.info, 0, "this account may not delete"), 1)
