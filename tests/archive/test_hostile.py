"""Objects with any value in any field: refused with a short printable reason, or decoded to harmless values."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.bounded import LARGEST_MANIFEST, LARGEST_RECORD, read_record
from redoubt.archive.deletion import Deletion
from redoubt.archive.framing import LONGEST_HEAD, FrameError, head_first, head_last, split_head_first, split_head_last
from redoubt.archive.layout import ClusterInfo, HoleInfo, Interruption, PieceInfo
from redoubt.archive.manifest import load_manifest
from redoubt.archive.part import PartError, decode_part
from redoubt.archive.record import LARGEST_NUMBER, RecordError, load_record
from redoubt.archive.segment import MOST_LOG, SegmentError, SegmentName, decode_segment, most_stored
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import load_set_manifest
from redoubt.archive.store import ArchiveError
from redoubt.errors import RedoubtError
from redoubt.printable import LONGEST, printable, printable_lines
from tests.verify.small import FIRST, LIVE, SECOND, SET, SmallArchive

from .fakes import MemoryDestination
from .hostile import ESCAPE, VALUES, Place, places_in, with_value

OBJECTS = SmallArchive().destination.objects
KINDS = {
    "cluster_clog_backup_info": lambda text: load_record(ClusterInfo, text),
    "round_info": lambda text: load_record(PieceInfo, text),
    "hole_info": lambda text: load_record(HoleInfo, text),
    "interruption": lambda text: load_record(Interruption, text),
    "deletion": lambda text: load_record(Deletion, text),
    "backup_set_info": lambda text: load_record(SetInfo, text),
    "single_piece_info": load_manifest,
    "single_backup_set_info": load_set_manifest,
}


def decoded(name: str, data: bytes) -> Any:
    """What is in an object of that name."""
    base = name.rpartition("/")[2]
    if base.startswith("part_"):
        return decode_part(data)
    segment = SegmentName.parse(base)
    return decode_segment(segment, data) if segment else KINDS[base](data)


def values_in(value: Any) -> list[Any]:
    """All numbers and texts in what was decoded."""
    if is_dataclass(value):
        return [inner for each in fields(value) for inner in values_in(getattr(value, each.name))]
    if isinstance(value, tuple):
        return [inner for each in value for inner in values_in(each)]
    return [value]


ONE_OF_EACH = {"".join(each for each in name.rpartition("/")[2] if not each.isdigit()): name for name in OBJECTS}
"""An object of each kind: their names in their folders without digits."""
CHANGES = [(name, place) for name, data in OBJECTS.items() for place in places_in(data)]


@pytest.mark.parametrize("name", ONE_OF_EACH.values(), ids=ONE_OF_EACH.keys())
def test_any_value_in_any_field_is_refused_or_harmless(name: str) -> None:
    """A reason is short and printable; numbers have 63 bits; texts are printable, or paths that stay in a base."""
    for place in places_in(OBJECTS[name]):
        for value in VALUES:
            _check_object(name, with_value(OBJECTS[name], place, value))


@given(st.sampled_from(CHANGES), st.integers() | st.text() | st.lists(st.text()))
def test_so_is_any_other_value(change: tuple[str, Place], value: object) -> None:
    """Whatever comes to mind."""
    name, place = change
    _check_object(name, with_value(OBJECTS[name], place, value))


def _check_object(name: str, data: bytes) -> None:
    reason, found = "", None
    try:
        found = decoded(name, data)
    except (RecordError, SegmentError, PartError) as error:
        reason = str(error)
    assert len(reason) < 1000
    assert reason.isprintable()
    for each in values_in(found):
        assert not isinstance(each, int) or 0 <= each <= LARGEST_NUMBER
        if isinstance(each, str):
            assert len(each) <= LONGEST
            assert each.isprintable() or each.startswith(("etc/", "store/"))


def test_every_field_of_every_object_is_tried() -> None:
    """Headers of segments and parts among them."""
    names = {name.rpartition("/")[2] for name, _ in CHANGES}

    assert KINDS.keys() <= names
    assert any(name.startswith("part_") for name in names)
    assert {SegmentName.parse(name).suffix for name in names if SegmentName.parse(name)} == {".zst", ".lz4", ".redo"}  # type: ignore[union-attr]


def test_a_cause_with_escape_sequences_is_shown_as_their_escapes() -> None:
    """It is for people, and its rest is kept; a name with them is refused."""
    store = SmallArchive().store(SECOND)
    data = with_value(OBJECTS[store.path.interruption], ("cause",), f"{ESCAPE}\nsound")

    assert load_record(Interruption, data).cause == r"\x1b[2J\x1b]0;title\x07sound\nsound"
    with pytest.raises(RecordError, match=r"'tenant' is '\\x1b"):
        load_record(PieceInfo, with_value(OBJECTS[store.path.info], ("tenant",), ESCAPE))


@pytest.mark.parametrize("size", [LARGEST_RECORD + 1, 1 << 30])
@pytest.mark.parametrize("compress", [bytes, zstandard.compress], ids=["zeros", "compressed"])
def test_an_object_of_zeros_is_no_record(size: int, compress: Any) -> None:
    """As they are, or compressed, they are refused in bounded memory: no more is read than a record may have."""
    data = compress(bytes(size))
    small = SmallArchive()
    destination = small.copy()
    store, sets = small.store(FIRST), small.set_store(SET)
    for name in (store.path.info, store.path.manifest, sets.path.info, sets.path.manifest, sets.path.fingerprint):
        destination.objects[name] = data
    store.destination = sets.destination = destination
    tracemalloc.start()
    try:
        for read in (lambda: store.record(PieceInfo, store.path.info), store.manifest, sets.info, sets.manifest):
            with pytest.raises(ArchiveError, match=r"is damaged \((not JSON|it has more than)"):
                read()
        if len(data) > LARGEST_RECORD:
            with pytest.raises(RecordError, match="it has more than"):
                sets.remark(sets.path.fingerprint)
        assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST_MANIFEST
    finally:
        tracemalloc.stop()


def test_no_more_of_a_segment_is_read_than_it_may_have() -> None:
    """And none whose name gives an impossible range is decoded."""
    small = SmallArchive()
    name, _ = small.store(LIVE).segments()[0]
    asked = list[int]()

    class Endless(MemoryDestination):
        """Has as many bytes as are asked for."""

        def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
            asked.append(length or 0)
            return bytes(length or 0)

    store = small.store(LIVE)
    store.destination = Endless()
    with pytest.raises(ArchiveError, match="it has more than"):
        store.read(name)
    assert asked == [most_stored(name) + 1]
    for start, end in ((5, 5), (7, 5), (0, MOST_LOG + 1), (0, 10**20 - 1)):
        for suffix in (".redo", ".zst"):
            with pytest.raises(ArchiveError, match=f"its name gives {end - start} bytes of log"):
                store.header(SegmentName(start, end, suffix))
    assert max(asked) <= most_stored(SegmentName(0, MOST_LOG, ".zst")) + 1


def test_a_header_that_is_longer_than_any_is_refused() -> None:
    """Its length is looked at before its text is."""
    for data, split in ((head_first, split_head_first), (head_last, split_head_last)):
        with pytest.raises(FrameError, match="at most"):
            split(data(b" " * LONGEST_HEAD, b""))


@given(st.text() | st.text(alphabet="\x1b\n\0\u202e\ud800a"), st.integers(10, 50))
def test_what_is_printable_is_short_and_stays_so(text: str, longest: int) -> None:
    """What was printable and short is not changed."""
    found = printable(text, longest)

    assert len(found) <= longest
    assert found.isprintable()
    assert printable(found, longest) == found
    assert found == text or len(text) > longest or not text.isprintable()
    assert all(line.isprintable() for line in printable_lines(text).replace("\t", "").split("\n"))
    assert str(RedoubtError(text)) == printable(text)


def test_a_record_is_read_within_its_limit() -> None:
    """One byte more is refused, whatever it is."""
    name = "cluster_clog_backup_info"
    text = json.dumps({"cluster": "c", "cluster_id": 1, "identity": "i", "format": 1}).encode()
    destination = MemoryDestination({name: text.ljust(LARGEST_RECORD)})
    assert read_record(ClusterInfo, destination, name).identity == "i"
    destination.objects[name] += b" "
    with pytest.raises(RecordError, match="it has more than 4194304 bytes"):
        read_record(ClusterInfo, destination, name)


def test_a_text_of_nothing_but_lists_is_not_parsed() -> None:
    """It would take twenty times its size in memory; a cause may have as many brackets as it likes."""
    with pytest.raises(RecordError, match="too many lists for its length"):
        load_record(ClusterInfo, b'{"format":2,"x":[' + b"[]," * 1_000_000 + b"1]}")
    cause = "[{" * 2000
    store = SmallArchive().store(SECOND)
    data = with_value(OBJECTS[store.path.interruption], ("cause",), cause)

    assert load_record(Interruption, data).cause == cause
