"""Objects that are deleted, cut, doubled, renamed or swapped: they are named, and what they cost is worked out."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from redoubt.archive.deletion import Deletion, delete_some
from redoubt.archive.layout import ClusterInfo, ClusterPath, Takeover
from redoubt.archive.record import dump_record
from redoubt.archive.segment import PieceIdentity, SegmentHeader, SegmentName
from redoubt.archive.store import PieceStore
from redoubt.archiver.merger import merge, remove
from redoubt.archiver.merging import Part
from redoubt.model.damage import Span
from redoubt.verify.checking import Checked
from redoubt.verify.findings import Report
from redoubt.verify.piece_log import PieceOf, put_together
from redoubt.verify.verified_objects import VerifiedObjects
from tests.archive.fakes import MemoryDestination

from .small import CLUSTER, DELETED, FIRST, IDENTITY, LIVE, SECOND, SET, TENANT, SmallArchive, verify

Change = Callable[[SmallArchive, MemoryDestination], str]


def name_in(destination: MemoryDestination, part: str, suffix: str = "") -> str:
    """The first object with this in its name."""
    return next(name for name in sorted(destination.objects) if part in name and name.endswith(suffix))


def delete(destination: MemoryDestination, part: str, suffix: str = "") -> str:
    """Lose an object; its name."""
    name = name_in(destination, part, suffix)
    del destination.objects[name]
    return name


def move(destination: MemoryDestination, name: str, to: str) -> str:
    """Rename an object; the new name."""
    destination.objects[to] = destination.objects.pop(name)
    return to


def swap(destination: MemoryDestination, one: str, other: str) -> str:
    """Put two objects in each other's place; the name of the first."""
    objects = destination.objects
    objects[one], objects[other] = objects[other], objects[one]
    return one


def copy_to(destination: MemoryDestination, name: str, to: str) -> str:
    """Double an object; the new name."""
    destination.objects[to] = destination.objects[name]
    return to


def in_piece(small: SmallArchive, key: object, base: str) -> str:
    """An object's name in a piece."""
    return f"{CLUSTER.clog(TENANT)}/{key}/{base}"


def lose_the_end(small: SmallArchive, destination: MemoryDestination) -> str:
    """The piece before another one has lost its last segment, and what would list it; the folder is named."""
    delete(destination, f"{FIRST}/single")
    delete(destination, str(FIRST), ".lz4")
    return in_piece(small, FIRST, "").rstrip("/")


def lose_a_tombstone(small: SmallArchive, destination: MemoryDestination) -> str:
    """What was deleted is missing then."""
    delete(destination, "/deletion")
    return in_piece(small, DELETED, small.deleted_names[0])


def lose_a_folder(small: SmallArchive, destination: MemoryDestination) -> str:
    """The piece that continues it is named."""
    for name in [name for name in destination.objects if f"/{FIRST}/" in name]:
        del destination.objects[name]
    return in_piece(small, SECOND, "").rstrip("/")


def stray(_: SmallArchive, destination: MemoryDestination) -> str:
    """A segment of one piece lies in another."""
    name = name_in(destination, str(SECOND), ".redo")
    return copy_to(destination, name, name.replace(str(SECOND), str(FIRST)))


def be_anothers(_: SmallArchive, destination: MemoryDestination) -> str:
    """The cluster's info says that it is of another one."""
    destination.objects[CLUSTER.info] = dump_record(ClusterInfo("other", 1, "f00d"), indent=2)
    return CLUSTER.info


CHANGES: dict[str, Change] = {
    "a segment that the manifest lists is gone": lambda _, d: delete(d, str(FIRST), ".lz4"),
    "a segment in the middle is gone": lambda _, d: delete(d, str(FIRST), ".zst"),
    "a claim is gone": lambda _, d: delete(d, f"{FIRST}/round_info"),
    "a piece that another continues has lost its last segment and its manifest": lose_the_end,
    "the record of the interruption is gone": lambda _, d: delete(d, "interruption"),
    "the claim of a set is gone": lambda _, d: delete(d, f"{SET}/backup_set_info"),
    "a part is gone": lambda _, d: delete(d, f"{SET}/part_00000002"),
    "who archives here is gone": lambda _, d: delete(d, "cluster_clog"),
    "the record of a deletion is gone": lose_a_tombstone,
    "a segment is doubled under another range": lambda s, d: copy_to(
        d, name_in(d, str(FIRST), ".zst"), in_piece(s, FIRST, str(SegmentName(7, 99, ".zst")))
    ),
    "a segment lies in another piece": stray,
    "a segment is renamed": lambda s, d: move(
        d, name_in(d, str(FIRST), ".zst"), in_piece(s, FIRST, str(SegmentName(7, 99, ".zst")))
    ),
    "two segments are swapped": lambda _, d: swap(d, name_in(d, str(FIRST), ".zst"), name_in(d, str(LIVE), ".zst")),
    "two claims are swapped": lambda _, d: swap(d, name_in(d, f"{FIRST}/round"), name_in(d, f"{SECOND}/round")),
    "two manifests are swapped": lambda _, d: swap(d, name_in(d, f"{FIRST}/single"), name_in(d, f"{SECOND}/single")),
    "two parts are swapped": lambda _, d: swap(
        d, name_in(d, f"{SET}/part_00000001"), name_in(d, f"{SET}/part_00000002")
    ),
    "two manifests of sets are swapped": lambda _, d: swap(
        d, name_in(d, "set_1_full_20260921/single"), name_in(d, "set_2_full_20260921/single")
    ),
    "two claims of sets are swapped": lambda _, d: swap(
        d, name_in(d, "set_1_full_20260921/backup"), name_in(d, "set_2_full_20260921/backup")
    ),
    "the folder of a piece is gone": lose_a_folder,
    "the cluster's info is another's": be_anothers,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_lost_or_moved_is_named(small: SmallArchive, what: str) -> None:
    """The object that is wrong is among those that are damaged."""
    destination = small.copy()
    name = CHANGES[what](small, destination)

    assert name in {each.name for each in verify(destination).damage}


def test_what_is_cut_anywhere_is_found(small: SmallArchive) -> None:
    """Every object, at some places."""
    for name, data in small.destination.objects.items():
        for size in {0, 1, len(data) // 2, len(data) - 1}:
            destination = small.copy()
            destination.objects[name] = data[:size]
            assert name in {each.name for each in verify(destination).damage}, (name, size)


def damage_of(small: SmallArchive, part: str, suffix: str = "") -> Report:
    """The report when an object is rubbish."""
    destination = small.copy()
    destination.objects[name_in(destination, part, suffix)] = b"rubbish"
    return verify(destination)


def test_a_damaged_segment_costs_what_follows_it_until_the_next_base(small: SmallArchive) -> None:
    """The moments from its first group to the end of its window; the window behind the next base stays."""
    report = damage_of(small, str(SECOND), ".redo")
    (found,) = report.damage
    (tenant,) = report.tenants

    assert found.cost == (Span(small.groups[2].end.scn + 1, small.groups[3].end.scn),)
    assert [window.end_scn for window in tenant.windows_if_sound] == [small.groups[3].end.scn, small.groups[6].end.scn]
    assert [window.end_scn for window in tenant.windows] == [small.groups[2].end.scn, small.groups[6].end.scn]


def test_a_damaged_segment_before_the_snapshot_costs_the_base(small: SmallArchive) -> None:
    """Log that a base cannot do without costs all that the base led to."""
    report = damage_of(small, str(FIRST), ".zst")

    assert report.damage[0].cost == (Span(small.groups[2].end.scn, small.groups[3].end.scn),)


def test_damaged_parts_of_a_set_cost_its_window(small: SmallArchive) -> None:
    """The log is there still, and no base leads to it."""
    report = damage_of(small, f"{SET}/part_00000001")

    assert report.damage[0].cost == (Span(small.groups[2].end.scn, small.groups[3].end.scn),)
    assert len(report.tenants[0].windows) == 1


def test_what_no_restore_needs_costs_nothing(small: SmallArchive) -> None:
    """And what only the damaged object said is not known."""
    hole, manifest = damage_of(small, "hole_info"), damage_of(small, f"{SET}/single")

    assert (hole.damage[0].cost, hole.damage[0].is_cost_known) == ((), True)
    assert not manifest.damage[0].is_cost_known
    assert hole.tenants[0].windows == hole.tenants[0].windows_if_sound


def test_what_nobody_accounts_for_is_a_note(small: SmallArchive) -> None:
    """Objects and folders of names that are not ours, at every height; they are no damage."""
    destination = small.copy()
    strangers = {
        "README",
        "lost+found/x",
        "redoubt/x",
        "redoubt/1/x",
        f"{CLUSTER}/x",
        f"{CLUSTER}/{TENANT}/x",
        f"{CLUSTER.clog(TENANT)}/x",
        in_piece(small, FIRST, "x"),
        f"{CLUSTER}/{TENANT}/data/{SET}/part_00000009.zst",
    }
    destination.objects |= dict.fromkeys(strangers, b"")
    report = verify(destination)

    assert report.is_sound
    assert {each.name for each in report.all_findings} == strangers - {"lost+found/x"} | {"lost+found"}


@pytest.mark.parametrize("remark", ["fingerprint", "drill_20261123T080000000000Z"])
def test_what_is_remarked_of_a_set_is_verified_and_costs_nothing(small: SmallArchive, remark: str) -> None:
    """What the engine held at the snapshot, and what drills came to: sealed objects that no restore needs."""
    destination = small.copy()
    name = f"{name_in(destination, str(SET), 'single_backup_set_info').rpartition('/')[0]}/{remark}"
    sealed = dump_record(ClusterInfo("any", 1, "sealed record"), indent=2)
    destination.put_if_absent(name, sealed)
    sound = verify(destination)
    destination.objects[name] = sealed.replace(b"any", b"one")
    damaged = verify(destination)

    assert sound.all_findings == []
    assert [(each.name, each.cost) for each in damaged.damage] == [(name, ())]


def test_a_set_that_is_not_complete_is_a_note(small: SmallArchive) -> None:
    """It may be under way; once it has been seen complete, it is damage that it is not."""
    destination, verified = small.copy(), VerifiedObjects()
    verify(destination, verified)
    name = delete(destination, f"{SET}/single")
    unknown, known = verify(destination), verify(destination, VerifiedObjects.of(verified))

    assert unknown.is_sound
    assert [each.problem for each in unknown.all_findings] == [
        "the data backup is incomplete: still running, or abandoned"
    ]
    assert [each.name for each in known.damage] == [name]


def test_what_was_there_and_is_gone_is_missed(small: SmallArchive) -> None:
    """Also where nothing in the destination says that it should be there: the newest log, a tombstone, a hole."""
    for part, suffix in ((str(LIVE), "757.zst"), ("hole_info", ""), ("/1/deletion", ""), ("interruption", "")):
        destination, verified = small.copy(), VerifiedObjects()
        verify(destination, verified)
        name = delete(destination, part, suffix)

        assert name in {each.name for each in verify(destination, VerifiedObjects.of(verified)).damage}


def test_where_writers_with_a_lease_began_is_known_again(small: SmallArchive) -> None:
    """Verified twice, it is there twice; gone, it is missed."""
    destination, verified = small.copy(), VerifiedObjects()
    lsn = small.groups[5].start.lsn
    name = CLUSTER.piece(TENANT, LIVE).takeover(3, lsn)
    destination.objects[name] = dump_record(Takeover(3, lsn, "a test"))
    first, second = verify(destination, verified), verify(destination, VerifiedObjects.of(verified))
    del destination.objects[name]

    assert (first.is_sound, second.is_sound) == (True, True)
    assert [each.name for each in verify(destination, VerifiedObjects.of(verified)).damage] == [name]


def test_verifying_goes_on_while_segments_are_merged(small: SmallArchive) -> None:
    """What goes between its listing and its reading has been merged, and is neither missing nor damaged."""
    destination = small.copy()
    store = PieceStore(destination, CLUSTER.piece(TENANT, LIVE))
    parts = [Part(*each) for each in store.segments()]

    def merge_now(operation: str, name: str) -> None:
        if operation == "get" and name.endswith("757.zst"):
            destination.failing = lambda _operation, _name: None
            merge(store, parts)
            remove(store, parts)

    destination.failing = merge_now
    report = verify(destination)

    assert report.all_findings == []


def test_another_cluster_beside_it_is_verified_too(small: SmallArchive) -> None:
    """Every cluster, every tenant; or only the one that is named."""
    destination = small.copy()
    other = ClusterPath("other", 7)
    destination.objects[other.info] = dump_record(ClusterInfo("other", 7, "beef"), indent=2)
    name = in_piece(small, FIRST, "round_info").replace(str(CLUSTER), str(other))
    destination.objects[name] = destination.objects[in_piece(small, FIRST, "round_info")]
    report = verify(destination)

    assert [each.tenant.cluster.cluster for each in report.tenants] == ["other", "redoubt"]
    assert {each.name for each in report.damage} == {name}
    assert [each.tenant.tenant_id for each in verify(destination, wanted="1001").tenants] == [1001, 1001]
    assert verify(destination, wanted="nobody").tenants == ()


def test_what_was_verified_is_not_read_again(small: SmallArchive) -> None:
    """Nor counted as read; a size that is another one is looked at, and several threads see the same."""
    destination, verified = small.copy(), VerifiedObjects()
    first = verify(destination, verified, jobs=3)
    second = verify(destination, VerifiedObjects.of(verified))
    name = name_in(destination, str(LIVE), ".merged.zst")
    destination.objects[name] += b"x"
    third = verify(destination, VerifiedObjects.of(verified))

    assert (first.is_sound, second.is_sound) == (True, True)
    assert (first.tally.objects_skipped, second.tally.objects_skipped) == (0, 10)
    assert second.tally.log_bytes == 0 < second.tally.oldest
    assert [each.name for each in third.damage] == [name]


def test_very_many_damaged_objects_are_not_all_named(small: SmallArchive) -> None:
    """Whoever can write there can place any number of them; the rest is one problem, and one remark."""
    destination = small.copy()
    folder = in_piece(small, LIVE, "")
    for number in range(1200):
        start = small.groups[6].end.lsn + 100 * number
        destination.objects[folder + str(SegmentName(start, start + 100, ".zst"))] = b"no segment"
        destination.objects[f"{folder}strange-{number}"] = b""
    report = verify(destination)
    texts = [each.problem for each in report.all_findings if each.name == folder.removesuffix("/")]

    assert len(report.all_findings) == 1002
    assert texts == ["200 more problems, which are not named", "1200 more remarks, which are not listed"]
    assert not report.is_sound


def test_a_piece_of_very_many_gaps_is_judged_in_bounded_time() -> None:
    """Sound segments with gaps between them, and a manifest that names as many missing ones."""
    of = PieceIdentity(CLUSTER.cluster, CLUSTER.cluster_id, 1, TENANT, LIVE.round, LIVE.piece, "engine-a")
    segments = dict[SegmentName, Checked]()
    for start in range(0, 200 * 4000, 200):
        header = SegmentHeader(of, start, start + 100, start + 1, start + 2, 0, 0, "none")
        segments[SegmentName(start, start + 100, ".redo")] = Checked(1, header=header)
    expected = tuple(SegmentName(start + 100, start + 200, ".redo") for start in range(0, 200 * 4000, 200))
    piece = PieceOf(CLUSTER, TENANT, LIVE, "folder", None, expected=expected)
    began = time.thread_time()
    log = put_together(piece, segments)

    assert [each.problem for each in log.findings] == [
        "0 objects are damaged, and 3999 ranges of the log are missing: too many to name them"
    ]
    assert len(log.links) == 4000 + 3999
    assert time.thread_time() - began < 5


def test_a_piece_that_was_deleted_between_others_leaves_all_sound(small: SmallArchive) -> None:
    """As beyond the recovery window: the restore point before keeps the log that it needs, and can be restored."""
    destination = small.copy()
    path, ours = CLUSTER.piece(TENANT, SECOND), ClusterInfo(CLUSTER.cluster, CLUSTER.cluster_id, IDENTITY)
    record = Deletion(TENANT, SECOND.round, SECOND.piece, 7, "ALTER SYSTEM DELETE OBSOLETE BACKUP", "a host", 1)
    while not delete_some(destination, ours, path, record, lambda: False):
        pass

    before, after = verify(small.copy()), verify(destination)
    assert after.is_sound, after.damage
    (was, *_), (now, *_) = before.tenants[0].windows, after.tenants[0].windows
    assert (now.start_scn, now.bases) == (was.start_scn, was.bases)
    assert now.end_scn < was.end_scn


def test_a_copy_may_lack_pieces_between_others(small: SmallArchive) -> None:
    """Those that were deleted or not copied: notes, and no damage. What is in a piece is judged as ever."""
    for lost in (DELETED, FIRST, SECOND):
        objects = {name: data for name, data in small.destination.objects.items() if f"/clog/{lost}/" not in name}
        assert verify(small.copy(objects)).is_sound is (lost == DELETED)
        copy = small.copy(objects | {CLUSTER.copies: objects[CLUSTER.info]})
        report = verify(copy)
        assert report.is_sound, report.damage
        delete(copy, f"{SET}/part_00000002")
        assert not verify(copy).is_sound
