"""Segments: what is decoded is what was encoded, or an error; and the standard tools read them."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tracemalloc
from dataclasses import replace

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS, codec_named
from redoubt.archive.record import dump_record
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    assemble_segment,
    decode_header,
    decode_segment,
    encode_segment,
)

from .fakes import NAMES, header_of, random_log

LOG = random_log(120)
POSITIONS = st.integers(0, 10**20 - 1)
SUFFIXES = st.sampled_from([codec.suffix for codec in CODECS.values()])


def name_of(header: SegmentHeader) -> SegmentName:
    """The name that a segment with this header has."""
    return SegmentName(header.start_lsn, header.end_lsn, codec_named(header.codec).suffix)


def with_header_text(codec: str, text: bytes) -> bytes:
    """A segment of LOG whose header text is this one, with all its marks and checksums right."""
    stored = codec_named(codec).encode(LOG)
    head = b"REDOUBT\x01" + struct.pack("<II", len(text), google_crc32c.value(text))
    if codec == "none":
        return stored + text + head
    return struct.pack("<II", 0x184D2A50, len(head) + len(text)) + head + text + stored


@given(
    log=st.binary(min_size=1, max_size=3000),
    codec=st.sampled_from(list(CODECS)),
    start_lsn=st.integers(0, 10**18),
    chain_before=st.none() | st.integers(0, 2**32 - 1),
    cluster=NAMES,
)
def test_a_segment_survives_the_round_trip(
    log: bytes, codec: str, start_lsn: int, chain_before: int | None, cluster: str
) -> None:
    """Header and log come back, and the header alone as well."""
    header = header_of(log, codec, start_lsn, chain_before=chain_before, cluster=cluster)
    data = encode_segment(header, log)
    found, found_log = decode_segment(name_of(header), data)

    assert log == found_log
    assert header == replace(found, log_crc=0, stored_crc=0)
    assert google_crc32c.value(log) == found.log_crc
    assert found == decode_header(name_of(header), data)


def test_a_segment_says_where_the_log_goes_on() -> None:
    """Its end is where the next one begins."""
    header = header_of(LOG, start_lsn=50)

    assert (170, 200, header.chain_after) == (header.end.lsn, header.end.scn, header.end.chain)


@pytest.mark.parametrize("codec", CODECS)
def test_every_flipped_bit_is_found(codec: str) -> None:
    """All of them, one at a time."""
    header = header_of(LOG, codec)
    name, data = name_of(header), bytearray(encode_segment(header, LOG))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SegmentError):
            decode_segment(name, bytes(data))
        data[bit // 8] ^= 1 << bit % 8

    assert decode_segment(name, bytes(data))[1] == LOG


@pytest.mark.parametrize("codec", CODECS)
def test_every_truncation_is_found(codec: str) -> None:
    """From either end, at every length."""
    header = header_of(LOG, codec)
    name, data = name_of(header), encode_segment(header, LOG)
    for length in range(len(data)):
        for part in (data[:length], data[len(data) - length :]):
            with pytest.raises(SegmentError):
                decode_segment(name, part)


@given(st.sampled_from(list(CODECS)), st.binary(min_size=1, max_size=50), st.booleans())
def test_every_extension_is_found(codec: str, more: bytes, is_before: bool) -> None:  # noqa: FBT001 - drawn
    """Bytes before or after a whole segment."""
    header = header_of(LOG, codec)
    data = encode_segment(header, LOG)
    with pytest.raises(SegmentError):
        decode_segment(name_of(header), more + data if is_before else data + more)


@given(SUFFIXES, st.binary(max_size=200), st.booleans())
def test_other_bytes_are_no_segment(suffix: str, data: bytes, is_marked: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever they are, also with the right marks at their beginning and end."""
    if is_marked:
        head = b"REDOUBT\x01" + struct.pack("<II", len(data), google_crc32c.value(data))
        data = struct.pack("<II", 0x184D2A50, len(data) + len(head)) + head + data + head
    with pytest.raises(SegmentError):
        decode_segment(SegmentName(0, 120, suffix), data)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"start_lsn": 1}, "its header names LSN 1 to 120"),
        ({"end_lsn": 121}, "its header names LSN 0 to 121"),
        ({"codec": "brotli"}, "codec 'brotli' is not one of"),
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"stored_crc": 0}, "the stored bytes' checksum does not match"),
        ({"log_crc": 0}, "the log's checksum does not match"),
        ({"log_crc": None}, "'log_crc' is None"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(codec: str, change: dict[str, object], text: str) -> None:
    """Though its own checksum is right."""
    header = header_of(LOG, codec)
    sound = decode_header(name_of(header), encode_segment(header, LOG))
    tampered: SegmentHeader = replace(sound, **change)  # type: ignore[arg-type]
    with pytest.raises(SegmentError, match=text):
        decode_segment(name_of(header), with_header_text(codec, dump_record(tampered)))


@pytest.mark.parametrize("codec", CODECS)
def test_an_object_under_the_name_of_another_kind_is_refused(codec: str) -> None:
    """The name says how it is to be read, and the header must agree."""
    header = header_of(LOG, codec)
    text = dump_record(header)
    for other in CODECS:
        if other != codec:
            with pytest.raises(SegmentError, match=f"its header names codec {codec}"):
                decode_segment(
                    replace(name_of(header), suffix=codec_named(other).suffix), with_header_text(other, text)
                )


@pytest.mark.parametrize("codec", ["lz4_1.0", "zstd_1.3.8"])
def test_a_sound_frame_of_another_log_is_refused(codec: str) -> None:
    """The size that the range names must come out."""
    header = header_of(LOG, codec)
    data = encode_segment(header, LOG[:-1])
    with pytest.raises(SegmentError, match="decodes to 119 bytes, 120 expected"):
        decode_segment(name_of(header), data)
    with pytest.raises(SegmentError, match="decodes to more bytes, 120 expected"):
        decode_segment(name_of(header), encode_segment(header, LOG + b"!"))


@given(POSITIONS, POSITIONS, SUFFIXES, st.booleans())
def test_a_name_survives_the_round_trip(start: int, end: int, suffix: str, is_merged: bool) -> None:  # noqa: FBT001
    """Text and back."""
    name = SegmentName(start, end, suffix, is_merged)

    assert name == SegmentName.parse(str(name))


@given(st.lists(POSITIONS, min_size=2, max_size=2, unique=True), SUFFIXES)
def test_names_sort_as_their_ranges(starts: list[int], suffix: str) -> None:
    """So that a listing is the order of the log."""
    names = [SegmentName(start, start, suffix) for start in starts]

    assert (starts[0] < starts[1]) == (str(names[0]) < str(names[1]))


_LIKE_NAMES = r"\A\d{20}-\d{20}(\.e[1-9])?\.(zst|lz4|redo)\Z|\A[0-9]{19,21}-[0-9]{20}\.[a-z]{2,5}\n?\Z"


@given(st.from_regex(_LIKE_NAMES) | st.text())
def test_only_what_a_segment_writes_is_its_name(text: str) -> None:
    """A foreign name is no segment's, also if it looks like one."""
    name = SegmentName.parse(text)

    assert name is None or text == str(name)


@pytest.mark.parametrize(
    "text", ["", "round_info", f"{0:020}-{9:020}", f"{0:020}-{9:020}.zst.part", f"{0:020}-{9:020}.zst\n", "0-9.zst"]
)
def test_a_foreign_name_is_no_segment(text: str) -> None:
    """Among them those of a segment with something more."""
    assert SegmentName.parse(text) is None


@pytest.mark.parametrize(("tool", "codec"), [("zstd", "zstd_1.3.8"), ("lz4", "lz4_1.0")])
def test_the_standard_tool_decodes_segments(tool: str, codec: str) -> None:
    """One, and several after another as `cat` joins them, to the exact bytes of the log."""
    program = shutil.which(tool)
    assert program, f"{tool} is needed for this test: install the package {tool}"
    logs = [random_log(200_000, seed) for seed in range(3)]
    objects = [encode_segment(header_of(log, codec), log) for log in logs]
    for stored, expected in ((objects[0], logs[0]), (b"".join(objects), b"".join(logs))):
        decoded = subprocess.run([program, "-dc"], input=stored, stdout=subprocess.PIPE, check=True).stdout

        assert expected == decoded


def test_an_uncompressed_segment_begins_with_the_log() -> None:
    """So that any tool reads it."""
    assert encode_segment(header_of(LOG), LOG).startswith(LOG)


def test_stored_bytes_that_are_no_frame_are_refused() -> None:
    """Though all the checksums of what is stored are right."""
    header = header_of(LOG, "lz4_1.0")
    with pytest.raises(SegmentError, match="not an lz4 frame"):
        decode_segment(name_of(header), assemble_segment(header, b"no frame"))


@pytest.mark.parametrize("codec", ["lz4_1.0", "zstd_1.3.8"])
def test_a_segment_that_expands_to_more_than_its_range_is_refused_early(codec: str) -> None:
    """What it would take to decode it all is never taken."""
    log = bytes(8 << 20)
    header = header_of(LOG, codec)
    data = encode_segment(header, log)
    tracemalloc.start()
    try:
        with pytest.raises(SegmentError, match="decodes to more bytes, 120 expected"):
            decode_segment(name_of(header), data)
        assert tracemalloc.get_traced_memory()[1] < len(data) + (2 << 20)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
def test_a_segment_of_many_parts_is_decoded_whole(codec: str) -> None:
    """And is held once, not in parts and whole."""
    log = random_log(100_000) * 80
    header = header_of(log, codec)
    data = encode_segment(header, log)
    tracemalloc.start()
    try:
        assert decode_segment(name_of(header), data)[1] == log
        assert tracemalloc.get_traced_memory()[1] < len(data) + 1.5 * len(log) + (2 << 20)
    finally:
        tracemalloc.stop()
