"""Listing and reading a round while another process merges it: never a hole, never a double, always what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS
from redoubt.archive.listing import HoleError, Listed, segments_in_order
from redoubt.archive.reading import walk
from redoubt.archive.segment import SegmentName, assemble_segment
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.merger import merge, remove, verify
from redoubt.archiver.merging import Part
from redoubt.archiver.piece_job import PieceJob
from redoubt.model.seams import ObjectInfo, ObjectMissingError

from .fakes import PATH, TASK, MemoryDestination, MemoryLog, archived, random_log, small_resources


def entry(start: int, end: int, kind: str = ".zst") -> ObjectInfo:
    """A segment in a listing."""
    return ObjectInfo(f"folder/{start:020}-{end:020}{kind}", end - start)


def ranges(listed: tuple[Listed, ...]) -> list[tuple[int, int]]:
    """Their ranges."""
    return [(each.name.start_lsn, each.name.end_lsn) for each in listed]


def test_what_a_merged_object_holds_is_passed_over() -> None:
    """All of its parts or some of them, also if they are merged objects themselves."""
    merged = ".merged.zst"
    entries = [entry(0, 9), entry(9, 30, merged), entry(9, 15), entry(15, 30, merged), entry(20, 30), entry(30, 31)]
    listing = segments_in_order(entries)

    assert ranges(listing.objects) == [(0, 9), (9, 30), (30, 31)]
    assert ranges(listing.covered) == [(9, 15), (15, 30), (20, 30)]


LATE: dict[str, tuple[list[str], list[str]]] = {
    "a request of a dead writer arrives": (["0-9.e1", "takeover 2 9", "9-20.e1", "9-15.e2", "15-30.e2"], ["9-20.e1"]),
    "it is longer than all that follows": (["0-9.e1", "takeover 2 9", "9-90.e1", "9-15.e2"], ["9-90.e1"]),
    "the next writer has stored nothing": (["0-9.e1", "takeover 2 9", "9-20.e1"], ["9-20.e1"]),
    "the first segment of all": (["takeover 1 0", "takeover 2 0", "0-9.e1", "0-5.e2"], ["0-9.e1"]),
    "of the same range": (["0-9.e1", "takeover 2 9", "9-20.e1", "9-20.e2"], ["9-20.e1"]),
    "after what the directory held": (["0-9", "takeover 1 9", "9-20.e1", "9-15"], ["9-15"]),
    "a merged object": (["0-5.e1", "5-9.e1", "takeover 2 9", "0-20.e1.merged", "9-12.e2"], ["0-20.e1.merged"]),
    "a writer that never came to store": (["0-9.e1", "takeover 2 9", "takeover 3 9", "9-20.e3"], []),
    "a takeover arrives after the next one": (["0-9.e1", "9-20.e1", "takeover 2 9", "takeover 3 20", "20-30.e3"], []),
    "all of a writer arrives after the next one": (
        ["0-9.e1", "9-20.e1", "takeover 2 9", "9-15.e2", "takeover 3 20", "20-30.e3"],
        ["9-15.e2"],
    ),
    "two writers, one after another": (
        ["0-9.e1", "takeover 2 9", "9-11.e1", "9-15.e2", "takeover 3 15", "15-40.e2", "15-20.e3"],
        ["9-11.e1", "15-40.e2"],
    ),
    "what one process merged after it took its lease again": (
        ["0-9.e1", "9-15.e1", "takeover 2 15", "0-20.e2.merged"],
        ["0-9.e1", "9-15.e1"],
    ),
}


def _entry(text: str) -> ObjectInfo:
    """`0-9.e1` is a segment, `takeover 2 9` a takeover."""
    if text.startswith("takeover"):
        _, epoch, lsn = text.split()
        return ObjectInfo(PATH.takeover(int(epoch), int(lsn)), 1)
    span, _, rest = text.partition(".")
    start, _, end = span.partition("-")
    return ObjectInfo(f"folder/{int(start):020}-{int(end):020}{'.' if rest else ''}{rest}.zst", 1)


@pytest.mark.parametrize("name", LATE)
def test_what_a_former_writer_stores_late_is_void(name: str) -> None:
    """The log is that of the last writer, and what that one found; in whatever order the names come."""
    texts, void = LATE[name]
    for order in (texts, texts[::-1]):
        listing = segments_in_order(_entry(text) for text in order)
        there = {each.name for each in (*listing.objects, *listing.covered)}

        assert {str(each.name) for each in listing.void} == {_entry(text).name[7:] for text in void}
        assert len(there) == sum(not text.startswith("takeover") for text in texts) - len(void)
        assert all(one.end_lsn == other.start_lsn for one, other in pairwise(each.name for each in listing.objects))


def test_log_that_is_missing_stays_missing() -> None:
    """The last segment of a writer was lost: what there is of that writer's still counts."""
    with pytest.raises(HoleError, match="does not follow"):
        segments_in_order(_entry(text) for text in ("0-9.e1", "takeover 2 9", "9-15.e2", "takeover 3 20", "20-30.e3"))


@pytest.mark.parametrize(
    "entries",
    [
        [entry(0, 9), entry(10, 30)],
        [entry(0, 9), entry(8, 30)],
        [entry(0, 9, ".merged.zst"), entry(8, 30)],
        [entry(0, 9), entry(0, 9, ".lz4")],
        [entry(0, 30), entry(8, 15)],
    ],
)
def test_a_hole_or_an_overlap_is_damage(entries: list[ObjectInfo]) -> None:
    """Only what a merged object holds whole is its part."""
    with pytest.raises(HoleError, match="does not follow"):
        segments_in_order(entries)


def archive_of(sizes: list[int], codec: str = "none") -> tuple[MemoryDestination, MemoryLog, PieceStore]:
    """A round with segments of these sizes, and its log."""
    destination, log = MemoryDestination(), MemoryLog()
    job = PieceJob(TASK, log, destination, small_resources(codec=lambda: codec))
    for number, size in enumerate(sizes):
        log.append(random_log(size, number))
        job.flush(number + 1)
        for _ in range(2):
            job.step()
    job.abandon()
    return destination, log, PieceStore(destination, PATH)


def merge_some(store: PieceStore, first: int, last: int) -> None:
    """Another process merges what the round now has at these places."""
    merge_parts(store, [Part(*each) for each in store.segments()][first:last])


def merge_parts(store: PieceStore, parts: list[Part]) -> None:
    """Merge, and remove the parts."""
    merge(store, parts)
    remove(store, parts)


def read(store: PieceStore, from_lsn: int = 0) -> bytes:
    """The log as a walk gives it."""
    log = b""
    for run in walk(store, from_lsn):
        assert from_lsn + len(log) == run.start_lsn
        log += b"".join(run.chunks)
    return log


@pytest.mark.parametrize("codec", CODECS)
def test_a_walk_reads_the_log_from_any_place(codec: str) -> None:
    """Also from inside an object, and from the end."""
    _, log, store = archive_of([5, 7, 30, 2], codec)
    merge_some(store, 1, 3)
    for lsn in range(len(log.data) + 1):
        assert log.data[lsn:] == read(store, lsn)


@given(data=st.data())
def test_a_walk_sees_neither_hole_nor_double_while_segments_are_merged(data: st.DataObject) -> None:
    """Merges come between any two operations, and a listing may have begun before them and ended after."""
    sizes = data.draw(st.lists(st.integers(1, 39), min_size=2, max_size=10))
    destination, log, store = archive_of(sizes)
    quiet = PieceStore(destination, PATH)
    is_merging = False

    def interfere(operation: str, _name: str) -> None:
        nonlocal is_merging
        if is_merging or operation not in {"get", "list"} or not data.draw(st.booleans()):
            return
        is_merging = True
        parts = [Part(*each) for each in quiet.segments()]
        if len(parts) > 1:
            first = data.draw(st.integers(0, len(parts) - 2))
            merge_parts(quiet, parts[first : data.draw(st.integers(first + 2, len(parts)))])
        is_merging = False

    destination.failing = interfere

    assert log.data == read(store)
    assert log.data == archived(destination)


class Racing(MemoryDestination):
    """Once, a merge happens inside a listing: the new object is missed, and the parts are gone."""

    def race(self, first: int, last: int) -> None:
        """Have it happen in the next listing."""
        store = PieceStore(self, PATH)
        before = set(self.objects)

        def during(operation: str, _name: str) -> None:
            if operation == "list":
                self.failing = lambda *_: None
                merge_some(store, first, last)
                new = set(self.objects) - before
                self.hidden = {name: self.objects.pop(name) for name in new}

        self.failing = during

    hidden: dict[str, bytes] = {}  # noqa: RUF012 - replaced, never changed

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Destination`."""
        found = super().list(prefix)
        self.objects.update(self.hidden)
        self.hidden = {}
        return found


@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 3), (2, 4), (0, 4)])
def test_a_listing_that_missed_a_merged_object_is_made_again(first: int, last: int) -> None:
    """In the middle it looks like a hole, at the ends like nothing."""
    objects, log, _ = archive_of([5, 7, 30, 2])
    destination = Racing(objects.objects)
    destination.race(first, last)

    assert log.data == read(PieceStore(destination, PATH))
    assert len(PieceStore(destination, PATH).segments()) == 5 - (last - first)


def test_a_hole_that_stays_is_damage() -> None:
    """In the middle, and at the beginning; and one that is another at each look as well."""
    destination, _, store = archive_of([5, 7, 30, 2])
    del destination.objects[PATH.segment(SegmentName(5, 12, ".redo"))]
    with pytest.raises(ArchiveError, match="does not follow"):
        read(store)
    del destination.objects[PATH.segment(SegmentName(0, 5, ".redo"))]
    with pytest.raises(ArchiveError, match="the log from LSN 0 to 12 is missing"):
        read(store)
    looks = 0

    def another(_operation: str, _name: str) -> None:
        nonlocal looks
        looks += 1
        destination.objects[PATH.segment(SegmentName(1000 + looks, 1001 + looks, ".redo"))] = b""
        destination.objects.pop(PATH.segment(SegmentName(999 + looks, 1000 + looks, ".redo")), None)

    destination.failing = another
    with pytest.raises(ArchiveError, match="does not follow"):
        store.segments()
    assert looks == 10


def test_an_object_that_is_listed_and_never_there_is_no_endless_walk() -> None:
    """A file system may do that."""
    destination, _, store = archive_of([5, 7])

    def lose(operation: str, name: str) -> None:
        if operation == "get":
            raise ObjectMissingError(name)

    destination.failing = lose
    with pytest.raises(ObjectMissingError):
        read(store)


def test_damage_on_the_way_is_named() -> None:
    """In what is stored, in the log, and in the chain."""
    destination, _, store = archive_of([5, 7])
    name = PATH.segment(SegmentName(5, 12, ".redo"))
    sound = destination.objects[name]
    destination.objects[name] = b"?" + sound[1:]
    with pytest.raises(ArchiveError, match=r"0012.redo is damaged: the stored bytes' checksum"):
        read(store)
    other, _, _ = archive_of([4, 1, 7])
    destination.objects[name] = other.objects[name]
    with pytest.raises(
        ArchiveError, match=r"0012.redo is damaged: its log does not continue the log that ends at LSN 5"
    ):
        read(store)


def test_a_log_that_is_not_what_was_stored_is_damage() -> None:
    """Though its bytes are: the text comes when they have been decoded."""
    destination, _, store = archive_of([5])
    header, log = store.read(SegmentName(0, 5, ".redo"))
    name = SegmentName(0, 5, ".redo")
    destination.objects[PATH.segment(name)] = assemble_segment(replace(header, log_crc=1), log)
    with pytest.raises(ArchiveError, match="the log's checksum does not match"):
        read(store)
    with pytest.raises(ArchiveError, match="the log's checksum does not match"):
        verify(store, name)
