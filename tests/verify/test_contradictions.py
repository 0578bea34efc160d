"""Objects that are whole, and say what the others do not: each is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from redoubt.archive.deletion import Deletion
from redoubt.archive.layout import HoleInfo, Interruption, PieceInfo
from redoubt.archive.manifest import dump_manifest, load_manifest
from redoubt.archive.part import decode_part, encode_part
from redoubt.archive.record import Record, dump_record, load_record
from redoubt.archive.segment import SegmentName, decode_segment, encode_segment
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import Extent, dump_set_manifest, load_set_manifest
from redoubt.verify.covering import cover
from tests.archive.fakes import MemoryDestination, changed

from .small import CLUSTER, DELETED, FIRST, LIVE, SECOND, SET, TENANT, SmallArchive, verify

R = TypeVar("R", bound=Record)
Change = Callable[[MemoryDestination], str]
PATHS = {key: CLUSTER.piece(TENANT, key) for key in (DELETED, FIRST, SECOND, LIVE)}
SET_FOLDER = f"{CLUSTER}/{TENANT}/data/{SET}"


def says(kind: type[R], name: str, **changes: Any) -> Change:
    """An info object says something else."""

    def change(destination: MemoryDestination) -> str:
        record: Any = changed(load_record(kind, destination.objects[name]), **changes)
        destination.objects[name] = dump_record(record, indent=2)
        return name

    return change


def lists(name: str, **changes: Any) -> Change:
    """A piece's manifest says something else."""

    def change(destination: MemoryDestination) -> str:
        manifest = load_manifest(destination.objects[name])
        destination.objects[name] = dump_manifest(replace(manifest, piece=replace(manifest.piece, **changes)))
        return name

    return change


def lists_set(**changes: Any) -> Change:
    """A set's manifest says something else."""

    def change(destination: MemoryDestination) -> str:
        name = f"{SET_FOLDER}/single_backup_set_info"
        manifest = load_set_manifest(destination.objects[name])
        summary = {key: value for key, value in changes.items() if key != "files"}
        files = changes.get("files", manifest.files)
        destination.objects[name] = dump_set_manifest(
            replace(manifest, summary=changed(manifest.summary, **summary), files=files)
        )
        return name

    return change


def reaches_out(extent: Extent) -> Change:
    """A file's content is said to be where it is not."""

    def change(destination: MemoryDestination) -> str:
        files = load_set_manifest(destination.objects[f"{SET_FOLDER}/single_backup_set_info"]).files
        return lists_set(files=(replace(files[0], extents=(extent,)),))(destination)

    return change


def segment(key: object, **changes: Any) -> Change:
    """The last segment of a live piece has another header."""

    def change(destination: MemoryDestination) -> str:
        name = max(name for name in destination.objects if f"/{key}/" in name and name.endswith(".zst"))
        parsed = SegmentName.parse(name.rpartition("/")[2])
        assert parsed is not None
        header, log = decode_segment(parsed, destination.objects[name])
        destination.objects[name] = encode_segment(changed(header, **changes), log)
        return name

    return change


def foreign_part(destination: MemoryDestination) -> str:
    """A part is sound, and not the one that the manifest lists."""
    name = f"{SET_FOLDER}/part_00000001.zst"
    header, _ = decode_part(destination.objects[name])
    destination.objects[name] = encode_part(header, b"other")
    return name


def part_of_another(destination: MemoryDestination) -> str:
    """A part says that it is of another set."""
    name = f"{SET_FOLDER}/part_00000001.zst"
    header, content = decode_part(destination.objects[name])
    destination.objects[name] = encode_part(replace(header, set_id=9), content)
    return name


def added(destination: MemoryDestination) -> str:
    """A segment follows the manifest."""
    name = next(name for name in destination.objects if f"/{SECOND}/" in name and name.endswith(".redo"))
    to = name.replace(str(SECOND), str(FIRST)).replace(".redo", ".zst")
    parsed = SegmentName.parse(name.rpartition("/")[2])
    assert parsed is not None
    header, log = decode_segment(parsed, destination.objects[name])
    destination.objects[to] = encode_segment(changed(header, piece=FIRST.piece, codec="zstd_1.3.8"), log)
    return to


def unrecorded_hole(destination: MemoryDestination) -> str:
    """Log is missing before a round that has ended, and nothing says why."""
    for base in ("hole_info",):
        del destination.objects[f"{PATHS[LIVE].folder}/{base}"]
    later = f"{CLUSTER.clog(TENANT)}/4/round_info"
    claim = load_record(PieceInfo, destination.objects[PATHS[LIVE].info])
    destination.objects[later] = dump_record(replace(claim, round=4, piece=0), indent=2)
    return PATHS[LIVE].hole


CHANGES: dict[str, Change] = {
    "an interruption of another round": says(Interruption, PATHS[SECOND].interruption, round=9),
    "an interruption of another engine": says(Interruption, PATHS[SECOND].interruption, source="b"),
    "an interruption elsewhere": says(Interruption, PATHS[SECOND].interruption, end_lsn=9),
    "a hole of another tenant": says(HoleInfo, PATHS[LIVE].hole, tenant_id=9),
    "a hole that ends elsewhere": says(HoleInfo, PATHS[LIVE].hole, end_lsn=9),
    "a hole that begins elsewhere": says(HoleInfo, PATHS[LIVE].hole, start_lsn=9),
    "a hole that nobody recorded": unrecorded_hole,
    "a deletion of another piece": says(Deletion, PATHS[DELETED].deletion, round=9),
    "a claim of another cluster": says(PieceInfo, PATHS[FIRST].info, identity="beef"),
    "a claim of another tenant": says(PieceInfo, PATHS[FIRST].info, tenant_id=9),
    "a claim that continues something else": says(PieceInfo, PATHS[SECOND].info, start_chain=9),
    "a manifest of another engine": lists(PATHS[FIRST].manifest, source="b"),
    "a manifest of another piece": lists(PATHS[FIRST].manifest, piece=9),
    "a manifest that ends elsewhere": lists(PATHS[FIRST].manifest, end_scn=9),
    "a manifest that begins with another checksum": lists(PATHS[FIRST].manifest, chain_before=9),
    "a segment of another engine": segment(LIVE, source="b"),
    "a segment that does not continue the one before": segment(LIVE, chain_before=9),
    "a segment that is too early": segment(LIVE, min_scn=9),
    "a segment behind the manifest": added,
    "a claim of another set": says(SetInfo, f"{SET_FOLDER}/backup_set_info", set_id=9),
    "a claim of another cluster's set": says(SetInfo, f"{SET_FOLDER}/backup_set_info", identity="beef"),
    "a set's manifest of another set": lists_set(set_id=9),
    "a set's manifest of another engine": lists_set(source="b"),
    "a file whose content no part holds": reaches_out(Extent(0, 9, 7, 0)),
    "a file whose content reaches past its part": reaches_out(Extent(0, 9, 1, 100_000)),
    "a part that is not the one": foreign_part,
    "a part of another set": part_of_another,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_contradiction_is_named(small: SmallArchive, what: str) -> None:
    """The object that says something else is among what is damaged."""
    destination = small.copy()
    name = CHANGES[what](destination)

    assert name in {each.name for each in verify(destination).damage}


def test_a_segment_before_the_piece_is_named(small: SmallArchive) -> None:
    """The claim says that the piece begins later."""
    destination = small.copy()
    says(PieceInfo, PATHS[LIVE].info, start_lsn=small.groups[6].start.lsn)(destination)

    assert any("begins before the start of the piece" in each.problem for each in verify(destination).damage)


def test_log_that_nobody_listed_is_missing_in_its_folder(small: SmallArchive) -> None:
    """Where no name is known, the folder is named, with the range."""
    destination = small.copy()
    for name in [name for name in destination.objects if f"/{LIVE}/" in name and "99." in name]:
        del destination.objects[name]
    found = [each for each in verify(destination).damage if each.name == PATHS[LIVE].folder]

    assert [each.problem.partition(":")[0] for each in found] == [
        f"the log from LSN {small.groups[5].start.lsn} to {small.groups[6].start.lsn} is missing"
    ]


def test_a_hole_before_a_round_that_is_young_is_a_note(small: SmallArchive) -> None:
    """It is recorded when the first segment is durable, which may be just now."""
    destination = small.copy()
    del destination.objects[PATHS[LIVE].hole]
    report = verify(destination)

    assert report.is_sound
    assert [each.name for each in report.all_findings] == [PATHS[LIVE].hole]


def test_a_deletion_that_is_under_way_is_a_note(small: SmallArchive) -> None:
    """Of a piece; a set is tested by its record alone, which may be damaged."""
    destination = small.copy()
    destination.objects[PATHS[FIRST].deletion] = dump_record(
        Deletion(TENANT, 2, 1, 8, "ALTER SYSTEM DELETE OBSOLETE BACKUP", "a host", 1), indent=2
    )
    destination.objects[f"{SET_FOLDER}/deletion"] = destination.objects[PATHS[FIRST].deletion]
    report = verify(destination)
    destination.objects[f"{SET_FOLDER}/deletion"] = b"rubbish"
    damaged = verify(destination)

    assert report.is_sound
    assert [each.problem for each in report.all_findings] == ["2 segments remain: the deletion has not finished"]
    assert [each.name for each in damaged.damage] == [f"{SET_FOLDER}/deletion"]


def test_folders_in_which_nothing_is_are_passed_over(small: SmallArchive) -> None:
    """A folder is there before its claim is."""
    destination = small.copy()
    destination.objects |= {
        f"{CLUSTER.clog(TENANT)}/9/x/y": b"",
        f"{CLUSTER}/{TENANT}/data/backup_set_9_full_20260921/x/y": b"",
    }

    assert verify(destination).is_sound


def test_what_cannot_be_read_is_said_beside_the_windows(small: SmallArchive) -> None:
    """Records of holes and ends that are damaged; a tenant without log; a deletion among the causes."""
    destination = small.copy()
    destination.objects[PATHS[SECOND].interruption] = b"{"
    (damaged,) = cover(destination, "main")
    log_only = {name: data for name, data in small.destination.objects.items() if "/clog/" not in name}
    (without,) = cover(MemoryDestination(log_only))
    (whole,) = cover(small.copy())

    assert damaged.damage
    assert (without.coverage.windows, without.coverage.is_live) == ((), False)
    assert whole.coverage.is_live
    assert list(cover(small.copy(), "nobody")) == []
