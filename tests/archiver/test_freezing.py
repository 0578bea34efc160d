"""A round that ends: what is merged then, its manifest, and what is never done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.layout import Interruption, PieceInfo
from redoubt.archive.manifest import Entry, Manifest, ManifestPiece, dump_manifest, load_manifest
from redoubt.archive.record import RecordError, seal
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.merger import merge
from redoubt.archiver.merging import Part
from redoubt.archiver.opening import Tenure
from redoubt.model.seams import DestinationError
from tests.archive.fakes import NAMES, OF, PATH, MemoryDestination, archived, chained
from tests.archive.test_reading import archive_of

INFO = PieceInfo(
    identity="f00d", tenant_id=1001, tenant="main", source=OF.source, round=3, piece=0, start_lsn=0, start_scn=50
)
NOW = 1_700_000_000_000_000_000
NUMBERS = st.integers(0, 2**63 - 1)
ENTRIES = st.lists(st.builds(Entry, NAMES, NUMBERS, st.from_regex(r"\A[0-9a-f]{64}\Z")), max_size=3)
_OF_TYPE = {"int": NUMBERS, "int | None": st.none() | NUMBERS, "str": NAMES, "Prose": NAMES}
PIECES = st.builds(
    ManifestPiece, **{each.name: _OF_TYPE[str(each.type)] for each in fields(ManifestPiece) if each.name != "format"}
)


class Freezing:
    """A round being frozen, and what is told of it."""

    def __init__(self, destination: MemoryDestination, digests: dict[str, str] | None = None) -> None:
        self.destination = destination
        self.store = PieceStore(destination, PATH)
        self.told: list[tuple[int, int]] = []
        self.freezer = Freezer(
            self.store,
            Tenure(self.store, "a test"),
            (OF.cluster, OF.cluster_id),
            lambda: NOW,
            digests or {},
            lambda done, total: self.told.append((done, total)),
        )

    def freeze(self, info: PieceInfo = INFO) -> Manifest:
        """The manifest, which is also the one that lies there."""
        manifest = self.freezer.freeze(info, self.store.resume(info).position.lsn)
        assert manifest == self.store.manifest()
        return manifest


@given(piece=PIECES, entries=ENTRIES)
def test_a_manifest_survives_the_round_trip(piece: ManifestPiece, entries: list[Entry]) -> None:
    """Also with text of any kind, and without segments."""
    manifest = Manifest(piece, tuple(entries))

    assert manifest == load_manifest(dump_manifest(manifest))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"segments": None}, "'segments' is None"),
        ({"segments": [7]}, "one of 'segments' is 7"),
        ({"segments": [{"name": "a", "size": True, "sha256": "0" * 64}]}, "one of 'segments' is"),
        ({"segments": [{"name": "a", "size": 1, "sha256": "0" * 63}]}, "one of 'segments' is"),
        ({"segments": [{"name": 1, "size": 1, "sha256": "0" * 64}]}, "one of 'segments' is"),
        ({"segments": [{"name": "a", "size": 1}]}, "one of 'segments' is"),
        ({"format": 3}, "format 3"),
        ({"end_lsn": "1"}, "'end_lsn' is '1'"),
    ],
)
def test_what_is_no_manifest_is_refused(change: dict[str, Any], text: str) -> None:
    """A field that a later version added is not."""
    destination, _, _ = archive_of([5])
    manifest = json.loads(dump_manifest(Freezing(destination).freeze())) | {"more": 1}
    del manifest["crc"]
    load_manifest(seal(json.dumps(manifest).encode()))
    with pytest.raises(RecordError, match=text):
        load_manifest(seal(json.dumps(manifest | change).encode()))


def test_a_frozen_round_has_a_manifest() -> None:
    """The rest is merged; every object is listed with its size and SHA-256, which was read if it was not known."""
    destination, log, store = archive_of([5, 7, 30, 2])
    manifest = Freezing(destination).freeze()
    (only,) = store.segments()
    data = destination.objects[PATH.segment(only[0])]

    assert only[0] == SegmentName(0, 44, ".redo", is_merged=True)
    assert log.data == archived(destination)
    assert (Entry(str(only[0]), only[1], hashlib.sha256(data).hexdigest()),) == manifest.segments
    assert manifest.output_bytes == only[1] == len(data)
    assert manifest.piece == ManifestPiece(
        identity="f00d",
        cluster=OF.cluster,
        cluster_id=OF.cluster_id,
        tenant_id=1001,
        tenant="main",
        round=3,
        piece=0,
        source=OF.source,
        start_lsn=0,
        end_lsn=44,
        start_scn=50,
        end_scn=400,
        chain_before=None,
        chain_after=chained(log.data, 0),
        frozen_at=NOW,
        broken_by="",
    )


def two_merged(damage: Callable[[bytes], bytes] = lambda data: data) -> MemoryDestination:
    """A round of two objects that are not merged again, the first with this damage."""
    destination, _, store = archive_of([5, 7, 30, 2])
    parts = [Part(*each) for each in store.segments()]
    for pair in (parts[:2], parts[2:]):
        merge(store, pair)
    name = PATH.segment(SegmentName(0, 12, ".redo", is_merged=True))
    destination.objects[name] = damage(destination.objects[name])
    return destination


def test_what_was_merged_before_is_read_for_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far that is, is told; parts that a crash left are removed, once the merged object has been checked."""
    monkeypatch.setattr("redoubt.archiver.freezing.plan_final", lambda _objects: [])
    freezing = Freezing(two_merged())
    manifest = freezing.freeze()
    names = [f"{PATH.folder}/{entry.name}" for entry in manifest.segments]

    assert freezing.told == [(0, 2), (1, 2), (2, 2)]
    assert [entry.sha256 for entry in manifest.segments] == [
        hashlib.sha256(freezing.destination.objects[name]).hexdigest() for name in names
    ]
    assert sorted(freezing.destination.objects) == sorted([*names, PATH.info, PATH.manifest])


def test_known_digests_are_not_read_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stored an object knows what was in it."""
    monkeypatch.setattr("redoubt.archiver.freezing.plan_final", lambda _objects: [])
    destination = two_merged()
    known = {str(name): "0" * 64 for name, _ in PieceStore(destination, PATH).segments()}
    freezing = Freezing(destination, known)

    assert [entry.sha256 for entry in freezing.freeze().segments] == ["0" * 64] * 2
    assert freezing.told == [(0, 0)]


def test_parts_stay_while_what_covers_them_is_not_sound() -> None:
    """They are all that is left of their log."""
    destination = two_merged(lambda data: data[:-40] + bytes(40))
    before = dict(destination.objects)
    with pytest.raises(ArchiveError, match=r"0012.merged.redo is damaged"):
        Freezing(destination).freeze()

    assert before == destination.objects


def test_a_damaged_part_ends_a_freezing() -> None:
    """It is named, and everything stays."""
    destination, _, _ = archive_of([5, 7, 30])
    name = PATH.segment(SegmentName(5, 12, ".redo"))
    destination.objects[name] = b"?" + destination.objects[name][1:]
    before = dict(destination.objects)
    with pytest.raises(ArchiveError, match=r"0012.redo is damaged"):
        Freezing(destination).freeze()

    assert before == destination.objects


@pytest.mark.parametrize("position", [0, 1])
def test_a_damaged_object_is_not_listed(position: int) -> None:
    """Neither when it is read for its digest, nor when only its header is."""
    destination, _, _ = archive_of([5])
    name = PATH.segment(SegmentName(0, 5, ".redo"))
    sound = destination.objects[name]
    reads = 0

    def rot(operation: str, read: str) -> None:
        nonlocal reads
        if operation == "get" and read == name:
            reads += 1
            destination.objects[name] = sound if reads <= 1 + position * 2 else b"?" * len(sound)

    destination.failing = rot
    with pytest.raises(ArchiveError, match=r"0005.redo is damaged"):
        Freezing(destination).freeze()


def test_a_round_without_log_is_frozen_as_well() -> None:
    """It ends where it began."""
    destination, _, _ = archive_of([])
    piece = Freezing(destination).freeze().piece

    assert (piece.start_lsn, piece.end_lsn, piece.end_scn, piece.chain_after) == (0, 0, 0, None)


def test_a_piece_without_log_ends_as_the_one_that_it_continues() -> None:
    """So that the piece after it knows where to go on."""
    piece = Freezing(MemoryDestination()).freeze(replace(INFO, start_lsn=80, start_scn=400, start_chain=7)).piece

    assert (piece.start_lsn, piece.end_lsn, piece.end_scn) == (80, 80, 400)
    assert (piece.chain_before, piece.chain_after) == (7, 7)


def test_a_manifest_says_what_interrupted_the_round() -> None:
    """If that is on record."""
    destination, _, store = archive_of([5])
    store.put_record(Interruption(1001, 3, OF.source, 5, 100, 7, "the disk burned"), PATH.interruption)

    assert Freezing(destination).freeze().piece.broken_by == "the disk burned"


def test_a_manifest_that_is_there_is_the_manifest() -> None:
    """Also when the answer to storing it was lost; a damaged one is refused."""
    destination, _, store = archive_of([5])
    first = Freezing(destination)

    def lose(_name: str) -> None:
        raise DestinationError("the answer was lost")

    destination.lost_answer = lose
    with pytest.raises(DestinationError, match="the answer was lost"):
        first.freezer.freeze(INFO, first.store.resume(INFO).position.lsn)
    destination.lost_answer = lambda _name: None
    manifest = first.freeze()
    again = Freezing(destination)

    assert manifest == again.freeze()
    assert again.told == []
    destination.objects[PATH.manifest] = b"{}"
    with pytest.raises(ArchiveError, match="single_piece_info is damaged"):
        store.manifest()


def test_a_manifest_that_appears_meanwhile_is_the_manifest() -> None:
    """The put of another try arrives late."""
    destination, _, _ = archive_of([5])
    early = Freezing(destination).freeze()
    late = destination.objects.pop(PATH.manifest)

    def arrive(operation: str, name: str) -> None:
        if (operation, name) == ("put", PATH.manifest):
            destination.objects[name] = late

    destination.failing = arrive

    assert early == Freezing(destination).freeze()
