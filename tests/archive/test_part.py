"""Parts of data backups: what is decoded is what was encoded, or an error; and zstd reads them."""

from __future__ import annotations

import random
import struct
import subprocess
from dataclasses import replace

import google_crc32c
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.part import MAX_LENGTH, MAX_SIZE, PartError, PartHeader, decode_part, encode_part
from redoubt.archive.record import dump_record

from .fakes import NAMES

HEADER = PartHeader("redoubt", 1, 1001, "engine-a", 3, 7)
CONTENT = random.Random(1).randbytes(100) + bytes(500)
PART = encode_part(HEADER, CONTENT)


def with_header(stored: bytes, **fields: object) -> bytes:
    """A part whose header says this, with all its marks and checksums right."""
    said = {"length": len(CONTENT), "content_crc": google_crc32c.value(CONTENT)} | fields
    text = dump_record(replace(HEADER, stored_crc=google_crc32c.value(stored), **said))
    head = b"REDOUBT\x01" + struct.pack("<II", len(text), google_crc32c.value(text))
    return struct.pack("<II", 0x184D2A50, len(head) + len(text)) + head + text + stored


@given(content=st.binary(max_size=3000), number=st.integers(1, 10**9), source=NAMES)
def test_a_part_survives_the_round_trip(content: bytes, number: int, source: str) -> None:
    """Header and content come back."""
    header, decoded = decode_part(encode_part(replace(HEADER, number=number, source=source), content))

    assert decoded == content
    assert (header.number, header.source, header.length) == (number, source, len(content))


def test_any_bit_that_is_flipped_is_noticed() -> None:
    """Every one of every byte is covered by a check."""
    for place in range(len(PART)):
        for bit in range(8):
            damaged = bytearray(PART)
            damaged[place] ^= 1 << bit
            with pytest.raises(PartError):
                decode_part(bytes(damaged))


def test_a_part_that_is_cut_short_or_goes_on_is_noticed() -> None:
    """At every byte."""
    for length in range(len(PART)):
        with pytest.raises(PartError):
            decode_part(PART[:length])
    with pytest.raises(PartError, match="stored bytes' checksum"):
        decode_part(PART + b"\0")


@given(data=st.binary(max_size=300))
def test_whatever_comes_is_refused_with_a_reason(data: bytes) -> None:
    """And not with another error."""
    with pytest.raises(PartError):
        decode_part(data)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"length": MAX_LENGTH + 1}, "at most"),
        ({"length": 2**60}, "at most"),
        ({"length": -1}, "'length' is -1"),
        ({"length": len(CONTENT) + 1}, "does not hold"),
        ({"content_crc": 1}, "content's checksum"),
        ({"codec": "lz4_1.0"}, "this version reads"),
        ({"format": 2}, "format 2"),
    ],
)
def test_a_header_that_says_what_is_not_so_is_refused(fields: dict[str, object], why: str) -> None:
    """Before room is made for what it says."""
    with pytest.raises(PartError, match=why):
        decode_part(with_header(zstandard.compress(CONTENT), **fields))


def test_what_is_no_zstd_frame_is_refused() -> None:
    """One that begins like a frame, and one that does not."""
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)
    damaged = frame[:20] + bytes(len(frame) - 20)
    for stored in (b"nothing", damaged):
        with pytest.raises(PartError, match="does not decode"):
            decode_part(with_header(stored))


def test_what_does_not_compress_fits() -> None:
    """The largest content, at its largest."""
    assert len(encode_part(HEADER, random.Random(2).randbytes(1 << 20))) < MAX_SIZE * ((1 << 20) / MAX_LENGTH) + 65536


def test_zstd_reads_a_part() -> None:
    """It passes over the header."""
    done = subprocess.run(["zstd", "-dc"], input=PART, capture_output=True, check=True)

    assert done.stdout == CONTENT
