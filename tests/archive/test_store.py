"""A round in a destination: whose it is, where it ends, and what is never continued."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redoubt.archive.codec import codec_named
from redoubt.archive.layout import PieceInfo
from redoubt.archive.record import dump_record
from redoubt.archive.segment import SegmentHeader, SegmentName, encode_segment
from redoubt.archive.store import ArchiveEnd, ArchiveError, PieceStore
from redoubt.model.log import LogPosition
from redoubt.model.seams import DestinationError, ObjectMissingError

from .fakes import OF, PATH, MemoryDestination, chained, down, header_of, random_log

INFO = PieceInfo(
    identity="f00d", tenant_id=1001, tenant="main", source=OF.source, round=3, piece=0, start_lsn=100, start_scn=50
)


@pytest.fixture
def destination() -> MemoryDestination:
    """An empty destination."""
    return MemoryDestination()


@pytest.fixture
def store(destination: MemoryDestination) -> PieceStore:
    """The round in it."""
    return PieceStore(destination, PATH)


def put_segment(store: PieceStore, start: int, end: int, codec: str = "zstd_1.3.8") -> SegmentHeader:
    """Store a segment of random log."""
    log = random_log(end - start, start)
    header = header_of(log, codec, start)
    store.put(SegmentName(start, end, codec_named(codec).suffix), encode_segment(header, log))
    return header


def test_a_free_round_is_claimed(destination: MemoryDestination, store: PieceStore) -> None:
    """The claim is an object that says whose the round is."""
    assert store.claim(INFO) == INFO
    assert {PATH.info: dump_record(INFO, indent=2)} == destination.objects


def test_a_round_of_ours_keeps_its_first_claim(store: PieceStore) -> None:
    """Who claims it again goes on from where it began."""
    store.claim(INFO)

    assert store.claim(replace(INFO, start_lsn=900, start_scn=70)) == INFO
    assert store.claimed("f00d", OF.source) == INFO


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (replace(INFO, identity="beef"), "round_info belongs to another cluster; choose another backup_dest"),
        (replace(INFO, source="engine-b"), "round_info belongs to another engine's log; start a new round"),
    ],
)
def test_a_round_of_another_is_refused(store: PieceStore, other: PieceInfo, text: str) -> None:
    """Whether it is claimed or looked up."""
    store.claim(other)
    with pytest.raises(ArchiveError, match=text):
        store.claim(INFO)
    with pytest.raises(ArchiveError, match=text):
        store.claimed("f00d", OF.source)


def test_a_damaged_claim_is_refused(destination: MemoryDestination, store: PieceStore) -> None:
    """Nobody knows whose the round is."""
    destination.objects[PATH.info] = b'{"identity":'
    with pytest.raises(ArchiveError, match=r"round_info is damaged \(not JSON"):
        store.claim(INFO)


def test_a_claim_that_must_be_there_is_missing(store: PieceStore) -> None:
    """That is the destination's trouble: a disk that is not mounted looks like it."""
    with pytest.raises(ObjectMissingError):
        store.claimed("f00d", OF.source)


def test_a_destination_in_trouble_is_no_verdict(destination: MemoryDestination, store: PieceStore) -> None:
    """It may be asked again."""
    destination.failing = down
    for ask in (lambda: store.claim(INFO), store.segments, lambda: store.resume(INFO)):
        with pytest.raises(DestinationError, match="the medium is gone"):
            ask()


def test_an_empty_round_goes_on_at_its_start(store: PieceStore) -> None:
    """No chain is known there."""
    store.claim(INFO)

    assert ArchiveEnd(LogPosition(100)) == store.resume(INFO)


def test_a_round_goes_on_after_its_last_segment(destination: MemoryDestination, store: PieceStore) -> None:
    """With that segment's chain, and the figures of all; foreign names are ignored."""
    store.claim(INFO)
    put_segment(store, 100, 150, "none")
    put_segment(store, 150, 155, "lz4_1.0")
    last = put_segment(store, 155, 300)
    sizes = [len(data) for name, data in destination.objects.items() if name != PATH.info]
    for foreign in ("notes.txt", "0-100.zst", "00000000000000000000-00000000000000000100.gz"):
        destination.objects[PATH.segment(foreign)] = b"foreign"
    destination.objects[f"{PATH.folder}/sub/{SegmentName(0, 7, '.zst')}"] = b"foreign"
    expected = ArchiveEnd(LogPosition(300, 200, last.chain_after), input_bytes=200, output_bytes=sum(sizes), segments=3)

    assert expected == store.resume(INFO)


@pytest.mark.parametrize("ranges", [[(100, 150), (160, 200)], [(100, 150), (140, 200)], [(100, 150), (100, 200)]])
def test_a_hole_or_an_overlap_is_refused(store: PieceStore, ranges: list[tuple[int, int]]) -> None:
    """The text names the segment that does not follow, and the one before."""
    for start, end in ranges:
        put_segment(store, start, end)
    with pytest.raises(ArchiveError, match=r"does not follow .*: log between them is missing or double"):
        store.resume(INFO)


def test_the_same_range_twice_is_refused(store: PieceStore) -> None:
    """Also when the two are of different kinds."""
    put_segment(store, 100, 150, "zstd_1.3.8")
    put_segment(store, 100, 150, "lz4_1.0")
    with pytest.raises(ArchiveError, match="missing or double"):
        store.segments()


def test_a_missing_first_segment_is_refused(store: PieceStore) -> None:
    """The round says where it begins."""
    put_segment(store, 150, 200)
    with pytest.raises(ArchiveError, match="the piece begins at LSN 100, but its first segment is"):
        store.resume(INFO)


def test_a_damaged_last_segment_is_refused(destination: MemoryDestination, store: PieceStore) -> None:
    """The text names it and what is wrong with it."""
    put_segment(store, 100, 150)
    name = PATH.segment(SegmentName(100, 150, ".zst"))
    destination.objects[name] = destination.objects[name][:-1]
    with pytest.raises(ArchiveError, match=r"00150.zst is damaged: the stored bytes' checksum does not match"):
        store.resume(INFO)


@pytest.mark.parametrize("change", [{"round": 2}, {"source": "engine-b"}])
def test_a_last_segment_of_another_round_or_engine_is_refused(store: PieceStore, change: dict[str, object]) -> None:
    """Somebody copied it there."""
    log = random_log(50)
    data = encode_segment(header_of(log, "none", 100, **change), log)
    store.put(SegmentName(100, 150, ".redo"), data)
    with pytest.raises(ArchiveError, match=r"00150.redo names round \d of engine engine-[ab]"):
        store.resume(INFO)


def test_storing_the_same_bytes_again_is_success(store: PieceStore) -> None:
    """The answer of the first time may have been lost."""
    put_segment(store, 100, 150)
    put_segment(store, 100, 150)

    assert [(SegmentName(100, 150, ".zst"))] == [name for name, _ in store.segments()]


def test_storing_other_bytes_under_a_taken_name_is_refused(destination: MemoryDestination, store: PieceStore) -> None:
    """What was there stays."""
    put_segment(store, 100, 150)
    before = dict(destination.objects)
    with pytest.raises(ArchiveError, match="exists with other content; check that no other redoubt archives there"):
        store.put(SegmentName(100, 150, ".zst"), b"other")

    assert before == destination.objects


def test_a_name_that_is_taken_and_missing_is_asked_again(destination: MemoryDestination, store: PieceStore) -> None:
    """A network file system may say both for a moment; that is no verdict on the round."""
    put_segment(store, 100, 150)

    def forget(operation: str, name: str) -> None:
        if operation == "get":
            raise ObjectMissingError(f"{name} is not there")

    destination.failing = forget
    with pytest.raises(ObjectMissingError):
        put_segment(store, 100, 150)


def test_a_segment_is_read_with_its_header(store: PieceStore) -> None:
    """Every check made."""
    put_segment(store, 100, 150)
    header, log = store.read(SegmentName(100, 150, ".zst"))

    assert random_log(50, 100) == log
    assert chained(log, 7) == header.chain_after
