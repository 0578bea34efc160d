"""Segments that an earlier version wrote: they decode for good, and today's headers have the same text.

`python -m tests.archive.test_golden` writes them anew, which only a new format version justifies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.archive.codec import CODECS
from redoubt.archive.record import dump_record
from redoubt.archive.segment import SegmentHeader, SegmentName, decode_segment, encode_segment

from .fakes import OF, chained, random_log

GOLDEN = Path(__file__).parent / "golden"
LOG = random_log(300, seed=42)
START = 67104768


def header_with(codec: str) -> SegmentHeader:
    """The header of the golden segment of a codec."""
    return SegmentHeader(
        OF,
        start_lsn=START,
        end_lsn=START + len(LOG),
        min_scn=1700000000000000001,
        max_scn=1700000000000000002,
        chain_before=None if codec == "none" else 4275878552,
        chain_after=chained(LOG, 7),
        codec=codec,
    )


def golden(codec: str) -> tuple[SegmentName, bytes]:
    """The golden segment's name and bytes."""
    name = SegmentName(START, START + len(LOG), CODECS[codec].suffix)
    return name, (GOLDEN / str(name)).read_bytes()


@pytest.mark.parametrize("codec", CODECS)
def test_a_golden_segment_decodes(codec: str) -> None:
    """To the same header and log."""
    header, log = decode_segment(*golden(codec))

    assert log == LOG
    assert header_with(codec) == replace(header, log_crc=0, stored_crc=0)


@pytest.mark.parametrize("codec", CODECS)
def test_todays_header_has_the_golden_text(codec: str) -> None:
    """All but the checksum of the stored bytes, in which a newer compressor may do better."""
    name, data = golden(codec)
    expected = decode_segment(name, data)[0]
    header = decode_segment(name, encode_segment(header_with(codec), LOG))[0]
    text = dump_record(replace(header, stored_crc=expected.stored_crc))

    assert text in data


def test_todays_uncompressed_segment_is_the_golden_one() -> None:
    """Byte for byte: no compressor has a part in it."""
    assert golden("none")[1] == encode_segment(header_with("none"), LOG)


if __name__ == "__main__":
    for each in CODECS:
        (GOLDEN / str(golden(each)[0])).write_bytes(encode_segment(header_with(each), LOG))
