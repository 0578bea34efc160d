"""Segments that earlier versions wrote: they decode for good, and today's headers have the newest ones' text.

Those in `golden_before_engine_kinds` name no kind of engine: they are seekdb's. `python -m tests.archive.test_golden`
writes the newest anew, which only another field, or a new format version, justifies.
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
EARLIER = Path(__file__).parent / "golden_before_engine_kinds"
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


def golden(codec: str, folder: Path = GOLDEN) -> tuple[SegmentName, bytes]:
    """The golden segment's name and bytes."""
    name = SegmentName(START, START + len(LOG), CODECS[codec].suffix)
    return name, (folder / str(name)).read_bytes()


@pytest.mark.parametrize("folder", [GOLDEN, EARLIER])
@pytest.mark.parametrize("codec", CODECS)
def test_a_golden_segment_decodes(codec: str, folder: Path) -> None:
    """To the same header and log; the engine of one that names no kind is seekdb."""
    header, log = decode_segment(*golden(codec, folder))

    assert log == LOG
    assert header.of.engine_kind == "seekdb"
    assert (b"engine_kind" in golden(codec, folder)[1]) is (folder is GOLDEN)
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
        (GOLDEN / str(golden(each, EARLIER)[0])).write_bytes(encode_segment(header_with(each), LOG))
