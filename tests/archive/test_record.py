"""Flat records as JSON: round trips, and what is refused."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.deletion import Deletion
from redoubt.archive.encryption import WrappedKey
from redoubt.archive.layout import ClusterInfo, HoleInfo, Interruption, PieceInfo
from redoubt.archive.manifest import Entry, Manifest, ManifestPiece, dump_manifest, load_manifest
from redoubt.archive.record import FORMAT, Record, RecordError, dump_record, load_record, seal, unseal
from redoubt.model.log import LogPosition

from .fakes import NAMES


@dataclass(frozen=True)
class Sample:
    """A record with a field of each type."""

    number: int
    text: str
    perhaps: int | None
    format: int = FORMAT


CAUSE = 'it "broke": {"format": 1, "crc": "00000000"}, \\ Jürgen'
PIECE = ManifestPiece("f00d", "redoubt", 1, 1001, "main", 3, 0, "cafe", 0, 9, 1, 2, None, 7, 5, CAUSE)
INFOS: tuple[Record, ...] = (
    ClusterInfo("redoubt", 1, "f00d"),
    PieceInfo("f00d", 1001, "main", "cafe", 3, 0, 67104768, 1700000000000000001),
    Interruption(1001, 3, "cafe", 9, 2, 5, CAUSE),
    HoleInfo(1001, 4, 3, 9, 2, 20, 5, 0, CAUSE),
    Deletion(1001, 3, 2, 9, CAUSE, "there", 5),
)
"""An info object of each kind; what is said in free text looks like the fields that matter."""
NUMBERS = st.integers(0, 2**63 - 1)
SAMPLES = st.builds(Sample, NUMBERS, NAMES, st.none() | NUMBERS)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Owner:
    """An inner record; a later version added the kind."""

    owner: str
    kind: int = 7


@dataclass(frozen=True)
class Owned:
    """A record with inner ones."""

    of: Owner
    end: LogPosition
    number: int
    format: int = FORMAT


def test_an_inner_record_is_stored_as_its_fields() -> None:
    """In its place; what of a position is not there is not made up."""
    record = Owned(Owner("a", 1), LogPosition(2, 3, None), 4)
    text = b'{"owner":"a","kind":1,"end_lsn":2,"end_scn":3,"end_chain":null,"number":4,"format":1}'

    assert text == dump_record(record)
    assert record == load_record(Owned, text)
    assert load_record(Owned, text.replace(b'"kind":1,', b"")).of == Owner("a")
    for lacking, name in (
        (b'"owner":"a",', "owner"),
        (b'"end_scn":3,', "end_scn"),
        (b'"end_chain":null,', "end_chain"),
    ):
        with pytest.raises(RecordError, match=f"'{name}' is None"):
            load_record(Owned, text.replace(lacking, b""))


@given(SAMPLES, st.none() | st.just(2))
def test_a_record_survives_the_round_trip(record: Sample, indent: int | None) -> None:
    """On one line and on several."""
    text = dump_record(record, indent=indent)

    assert record == load_record(Sample, text)
    assert (b"\n" in text) == (indent is not None)


def test_the_texts_are_pinned() -> None:
    """What other versions read and write."""
    info = ClusterInfo("redoubt", 1, "f00d")
    sealed = (
        b'{\n  "cluster": "redoubt",\n  "cluster_id": 1,\n  "identity": "f00d",\n  "format": 2,\n  "crc": "%08x"\n}'
        % google_crc32c.value(b'{\n  "cluster": "redoubt",\n  "cluster_id": 1,\n  "identity": "f00d",\n  "format": 2')
    )
    on_one_line = b'{"cluster":"redoubt","cluster_id":1,"identity":"f00d","format":2,"crc":"76ceb639"}'

    assert sealed == dump_record(info, indent=2)
    assert on_one_line == dump_record(info)
    assert dump_record(Sample(1, "a", None)) == b'{"number":1,"text":"a","perhaps":null,"format":1}'
    assert info == load_record(ClusterInfo, sealed) == load_record(ClusterInfo, on_one_line)


def test_a_claim_of_an_earlier_version_is_read() -> None:
    """It had no checksum of the log before it, and none of itself; it is the same claim."""
    text = (
        b'{"identity":"f00d","tenant_id":1001,"tenant":"main","source":"cafe","round":2,"piece":0,'
        b'"start_lsn":67104768,"start_scn":17,"format":1}'
    )

    assert load_record(PieceInfo, text) == PieceInfo("f00d", 1001, "main", "cafe", 2, 0, 67104768, 17)


def test_fields_of_a_later_version_are_passed_over() -> None:
    """As long as it is the same format."""
    text = b'{"number":1,"text":"a","perhaps":null,"format":1,"later":[1,{}]}'

    assert Sample(1, "a", None) == load_record(Sample, text)


@pytest.mark.parametrize(
    "text",
    [b'{"number":1,"text":"a","perhaps":null,"format":2}', b'{"format":2,"renamed":1}'],
    ids=["same fields", "other fields"],
)
def test_another_format_is_refused_by_its_number(text: bytes) -> None:
    """Whatever its fields are: that it is of another format explains all the rest."""
    with pytest.raises(RecordError, match="format 2; this version reads format 1"):
        load_record(Sample, text)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"number": "1"}, "'number' is '1'"),
        ({"number": True}, "'number' is True"),
        ({"number": 1.0}, "'number' is 1.0"),
        ({"number": None}, "'number' is None"),
        ({"text": 1}, "'text' is 1"),
        ({"text": None}, "'text' is None"),
        ({"perhaps": "1"}, "'perhaps' is '1'"),
        ({"perhaps": False}, "'perhaps' is False"),
        ({"number": -1}, "'number' is -1"),
        ({"number": 2**63}, "'number' is 9223372036854775808"),
        ({"number": 10**4000}, r"'number' is 10{17}\.\.\.0{19}$"),
        ({"perhaps": -1}, "'perhaps' is -1"),
        ({"text": "a\nb"}, r"'text' is 'a\\nb'"),
        ({"text": "\x1b[2Jsound"}, r"'text' is '\\x1b\[2Jsound'"),
        ({"text": "\ud800"}, r"'text' is '\\ud800'"),
        ({"text": "a" * 256}, r"'text' is 'a{12}\.\.\.a{13}'$"),
        ({"text": [["a" * 10**6] * 9] * 9}, r"'text' is .{1,2000}$"),
        ({"format": "1"}, "'format' is '1'"),
        ({"format": True}, "'format' is True"),
    ],
)
def test_a_field_of_another_type_is_refused(change: dict[str, object], text: str) -> None:
    """A field is never converted."""
    with pytest.raises(RecordError, match=text):
        load_record(Sample, json.dumps(asdict(Sample(1, "a", None)) | change).encode())


@pytest.mark.parametrize("name", ["number", "text", "perhaps", "format"])
def test_a_missing_field_is_refused(name: str) -> None:
    """Also one that may be null."""
    values = asdict(Sample(1, "a", None))
    del values[name]
    with pytest.raises(RecordError, match=f"'{name}' is None"):
        load_record(Sample, json.dumps(values).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"nonsense", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """Also what nests deeper than the parser goes."""
    with pytest.raises(RecordError, match="not JSON"):
        load_record(Sample, text)


@pytest.mark.parametrize("text", [b"[]", b"1", b'"a"', b"null"])
def test_other_json_is_refused(text: bytes) -> None:
    """A record is an object."""
    with pytest.raises(RecordError, match="not a JSON object"):
        load_record(Sample, text)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_a_record_error_comes_of_other_bytes(text: bytes) -> None:
    """Whatever lies there."""
    with pytest.raises(RecordError):
        load_record(Sample, text)


def every_flip(text: bytes) -> Iterator[bytes]:
    """The text with one other bit, for each of its bits."""
    for bit in range(8 * len(text)):
        yield text[: bit // 8] + bytes((text[bit // 8] ^ 1 << bit % 8,)) + text[bit // 8 + 1 :]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("info", INFOS, ids=lambda info: type(info).__name__)
def test_every_flipped_bit_of_an_info_object_is_found(info: Record, indent: int | None) -> None:
    """All of them, one at a time: none makes an object of the earlier format, which has no checksum."""
    text = dump_record(info, indent=indent)
    for flipped in every_flip(text):
        with pytest.raises(RecordError):
            load_record(type(info), flipped)

    assert info == load_record(type(info), text)


def test_every_flipped_bit_of_a_manifest_is_found() -> None:
    """Also in its list of segments."""
    manifest = Manifest(PIECE, (Entry("a.zst", 5, "0" * 64), Entry("b.zst", 6, "f" * 64)))
    text = dump_manifest(manifest)
    for flipped in every_flip(text):
        with pytest.raises(RecordError):
            load_manifest(flipped)

    assert manifest == load_manifest(text)


def test_every_truncation_and_extension_of_an_info_object_is_found() -> None:
    """White space among them, which is nothing to JSON."""
    text = dump_record(INFOS[0], indent=2)
    for changed in (*(text[:length] for length in range(len(text))), text + b"\n", b" " + text, text[:-1] + b" }"):
        with pytest.raises(RecordError):
            load_record(ClusterInfo, changed)


@given(
    st.dictionaries(st.text().filter(lambda name: name not in {"format", "crc"}), JSON_VALUES), st.none() | st.just(2)
)
def test_what_is_sealed_is_unsealed(values: dict[str, object], indent: int | None) -> None:
    """Any object, on one line and on several."""
    text = json.dumps(values | {"format": 2}, indent=indent).encode()
    found = unseal(seal(text))

    assert len(found.pop("crc")) == 8
    assert json.dumps(values | {"format": 2}) == json.dumps(found)


@pytest.mark.parametrize(
    "text",
    [
        b'{"cluster":"c","cluster_id":1,"identity":"i","format":2}',
        b'{"cluster":"c","cluster_id":1,"identity":"i","format":2,"crc":"00000000"}',
        b'{"cluster":"c","cluster_id":1,"identity":"i","format":2,"crc":null}',
        b'{"cluster":"c","cluster_id":1,"identity":"i","format":1,"crc":"00000000"}',
        b'{"format":2}',
    ],
)
def test_an_info_object_without_its_checksum_is_refused(text: bytes) -> None:
    """Also one that says to be of the earlier format, and has a checksum."""
    with pytest.raises(RecordError, match="its checksum does not match"):
        load_record(ClusterInfo, text)


def test_an_info_object_of_a_later_format_is_refused_by_its_number() -> None:
    """Its own and the earlier one are read."""
    for number in (0, 3):
        with pytest.raises(RecordError, match=f"format {number}; this version reads formats 1 to 2"):
            load_record(ClusterInfo, b'{"format":%d}' % number)


@pytest.mark.parametrize("value", ["abc", "AB", "zz", "00\n", "0" * 258, "0" * 3_000_000])
def test_hexadecimal_fields(value: str) -> None:
    """Pairs of digits, and not many: who reads a long one needs neither time nor memory for it."""
    text = json.dumps({"data_key": "0" * 16, "master_key": "0" * 16, "nonce": value, "wrapped": "", "format": 2})
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match="'nonce' is"):
            load_record(WrappedKey, seal(text.encode()))
        assert tracemalloc.get_traced_memory()[1] < 12 * len(text) + 100_000
    finally:
        tracemalloc.stop()
