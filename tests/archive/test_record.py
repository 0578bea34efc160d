"""Flat records as JSON: round trips, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.layout import ClusterInfo, RoundInfo
from redoubt.archive.record import FORMAT, RecordError, dump_record, load_record


@dataclass(frozen=True)
class Sample:
    """A record with a field of each type."""

    number: int
    text: str
    perhaps: int | None
    format: int = FORMAT


SAMPLES = st.builds(Sample, st.integers(-(2**70), 2**70), st.text(), st.none() | st.integers())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(SAMPLES, st.none() | st.just(2))
def test_a_record_survives_the_round_trip(record: Sample, indent: int | None) -> None:
    """On one line and on several."""
    text = dump_record(record, indent=indent)

    assert record == load_record(Sample, text)
    assert (b"\n" in text) == (indent is not None)


def test_the_texts_are_pinned() -> None:
    """What other versions read and write."""
    info = ClusterInfo("redoubt", 1, "f00d")
    claim = RoundInfo("f00d", 1001, "main", "cafe", 2, 0, 67104768, 1700000000000000000)
    expected = b'{"cluster":"redoubt","cluster_id":1,"identity":"f00d","format":1}'
    expected_claim = (
        b'{"identity":"f00d","tenant_id":1001,"tenant":"main","source":"cafe","round":2,"piece":0,'
        b'"start_lsn":67104768,"start_scn":1700000000000000000,"start_chain":null,"format":1}'
    )

    assert expected == dump_record(info)
    assert expected_claim == dump_record(claim)


def test_a_claim_of_an_earlier_version_is_read() -> None:
    """It had no checksum of the log before it."""
    text = (
        b'{"identity":"f00d","tenant_id":1001,"tenant":"main","source":"cafe","round":2,"piece":0,'
        b'"start_lsn":67104768,"start_scn":17,"format":1}'
    )

    assert load_record(RoundInfo, text) == RoundInfo("f00d", 1001, "main", "cafe", 2, 0, 67104768, 17)


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
