"""Merged segments: the exact log of their parts, for the standard tools too, and nothing else is ever joined."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS, codec_named
from redoubt.archive.joining import Joined
from redoubt.archive.segment import SegmentError, SegmentHeader, SegmentName, decode_segment, encode_segment

from .fakes import chained, changed, header_of, random_log


def chain_of(logs: list[bytes], codec: str) -> list[tuple[SegmentHeader, bytes]]:
    """Segments of these logs, each continuing the one before: header and log."""
    parts: list[tuple[SegmentHeader, bytes]] = []
    lsn, chain = 0, 7
    for number, log in enumerate(logs):
        scns = {"min_scn": 100 * number, "max_scn": 100 * number + 50}
        header = header_of(log, codec, lsn, chain_before=chain, chain_after=chained(log, chain), **scns)
        parts.append((header, log))
        lsn, chain = header.end_lsn, header.chain_after
    return parts


def stored(header: SegmentHeader, log: bytes) -> tuple[SegmentName, bytes]:
    """The object of a segment."""
    name = SegmentName(header.start_lsn, header.end_lsn, codec_named(header.codec).suffix)
    return name, encode_segment(header, log)


@given(st.lists(st.binary(min_size=1, max_size=500), min_size=1, max_size=8), st.sampled_from(list(CODECS)), st.data())
def test_a_merged_segment_is_its_parts(logs: list[bytes], codec: str, data: st.DataObject) -> None:
    """Log, range, SCNs and chain; also if some were merged before."""
    parts = chain_of(logs, codec)
    objects = [stored(*part) for part in parts]
    cut = data.draw(st.integers(0, len(parts) - 1))
    first, whole = Joined(), Joined()
    for each in objects[: cut + 1]:
        first.add(*each)
    for each in [first.finish(), *objects[cut + 1 :]]:
        whole.add(*each)
    name, merged = whole.finish()
    header, log = decode_segment(name, merged)
    last = parts[-1][0]
    expected = replace(parts[0][0], end_lsn=last.end_lsn, max_scn=last.max_scn, chain_after=last.chain_after)

    assert b"".join(logs) == log
    assert SegmentName(0, len(log), codec_named(codec).suffix, is_merged=True) == name
    assert expected == replace(header, log_crc=0, stored_crc=0)


@pytest.mark.parametrize(
    "change",
    [
        {"round": 9},
        {"source": "engine-b"},
        {"codec": "zstd_1.3.8"},
        {"chain_before": 5},
        {"chain_before": None},
        {"start_lsn": 21},
    ],
)
def test_what_does_not_continue_is_not_joined(change: dict[str, Any]) -> None:
    """The text says where the log ends that it should continue."""
    one, other = chain_of([random_log(20), random_log(30)], "lz4_1.0")
    header = changed(other[0], **change)
    joined = Joined()
    joined.add(*stored(*one))
    with pytest.raises(SegmentError, match="its log does not continue the log that ends at LSN 20"):
        joined.add(*stored(header, other[1][: header.end_lsn - header.start_lsn]))


def test_a_damaged_part_is_not_joined() -> None:
    """Its checksums are looked at first."""
    name, data = stored(*chain_of([random_log(20)], "lz4_1.0")[0])
    with pytest.raises(SegmentError, match="the stored bytes' checksum does not match"):
        Joined().add(name, data[:-1])


@pytest.mark.parametrize(("tool", "codec"), [("zstd", "zstd_1.3.8"), ("lz4", "lz4_1.0")])
def test_the_standard_tool_decodes_a_merged_segment(tool: str, codec: str) -> None:
    """To the exact bytes of the log."""
    program = shutil.which(tool)
    assert program, f"{tool} is needed for this test: install the package {tool}"
    logs = [random_log(200_000, seed) for seed in range(3)]
    joined = Joined()
    for part in chain_of(logs, codec):
        joined.add(*stored(*part))
    _, data = joined.finish()
    decoded = subprocess.run([program, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout

    assert b"".join(logs) == decoded
