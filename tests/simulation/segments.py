"""Segments as docs/FORMAT.md describes them, decoded and joined without anything of the product."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from typing import Any

import google_crc32c
import lz4.frame
import zstandard

NAME = re.compile(r"([0-9]{20})-([0-9]{20})(?:\.e([1-9][0-9]*))?(\.merged)?\.(zst|lz4|redo)")
TAKEOVER = re.compile(r"takeover-([0-9]{20})-([0-9]{20})")


class ViolationError(AssertionError):
    """The archive is not what it must be."""


@dataclass(frozen=True)
class Segment:
    """A segment as decoded here."""

    name: str
    start: int
    end: int
    is_merged: bool
    epoch: int
    header: dict[str, Any]
    log: bytes


def decode(name: str, data: bytes) -> Segment:
    """A segment, from its bytes. Raises ViolationError."""
    match = NAME.fullmatch(name)
    assert match is not None
    try:
        if match[5] == "redo":
            mark, length, crc = struct.unpack("<8sII", data[-16:])
            text, stored = data[-16 - length : -16], data[: -16 - length]
            log = stored
        else:
            magic, frame, mark, length, crc = struct.unpack("<II8sII", data[:24])
            text, stored = data[24 : 24 + length], data[24 + length :]
            assert (magic, frame) == (0x184D2A50, 16 + length), "skippable frame"
            log = _unpacked_lz4(stored) if match[5] == "lz4" else _unpacked_zstd(stored)
        assert mark == b"REDOUBT\x01", "mark"
        assert google_crc32c.value(text) == crc, "CRC of the header"
        header = json.loads(text)
        start, end = int(match[1]), int(match[2])
        assert (header["start_lsn"], header["end_lsn"], len(log)) == (start, end, end - start), "range"
        assert header["log_crc"] == google_crc32c.value(log), "CRC of the log"
        assert header["stored_crc"] == google_crc32c.value(stored), "CRC as stored"
        if header["chain_before"] is not None:
            assert google_crc32c.extend(header["chain_before"], log) == header["chain_after"], "chain"
    except (AssertionError, struct.error, ValueError, KeyError, RuntimeError, zstandard.ZstdError) as error:
        raise ViolationError(f"{name} ({len(data)} bytes) is damaged: {error!r}") from error
    return Segment(name, start, end, match[4] is not None, int(match[3] or 0), header, log)


def _unpacked_lz4(stored: bytes) -> bytes:
    """All frames, one after another."""
    logs = []
    while stored:
        log, read = lz4.frame.decompress(stored, return_bytes_read=True)
        logs.append(log)
        stored = stored[read:]
    return b"".join(logs)


def _unpacked_zstd(stored: bytes) -> bytes:
    """All frames, one after another."""
    logs = []
    while stored:
        frame = zstandard.ZstdDecompressor().decompressobj()
        logs.append(frame.decompress(stored))
        assert frame.eof, "the end of a zstd frame"
        stored = frame.unused_data
    return b"".join(logs)


def without_void(segments: list[Segment], takeovers: list[tuple[int, int]]) -> list[Segment]:
    """The segments but for those of writers whose place another one had taken; `takeovers`: epoch and LSN."""
    kept: list[Segment] = []
    place: int | None = None  # where the writer after the present one began
    for epoch in sorted({each.epoch for each in segments} | {epoch for epoch, _ in takeovers}, reverse=True):
        own = [each for each in segments if each.epoch == epoch and (place is None or each.end <= place)]
        began = [lsn for number, lsn in takeovers if number == epoch] + [each.start for each in own]
        if place is not None and place not in {each.end for each in own}:
            goes_on_from_another = any(each.epoch < epoch and each.end == place for each in segments)
            if not own or goes_on_from_another:
                continue
        kept += own
        place = min(began)
    return kept


def joined(folder: str, start: int, chain: int | None, segments: list[Segment]) -> tuple[bytes, list[Segment]]:
    """The log that segments hold from `start` on, and those that hold it: parts of merged ones are passed over.

    `chain` is the log's checksum at `start`, as far as it is known.
    """
    at = start
    objects: list[Segment] = []
    covering: Segment | None = None
    for segment in sorted(segments, key=lambda each: (each.start, -each.end, not each.is_merged)):
        if covering is not None and covering.is_merged and segment.end <= covering.end:
            if covering.log[segment.start - covering.start : segment.end - covering.start] != segment.log:
                raise ViolationError(f"{folder}: {segment.name} holds other log than {covering.name}")
            continue
        if segment.start != at:
            raise ViolationError(f"{folder}: after {at} comes {segment.name}: a hole or a double")
        if (objects or chain is not None) and segment.header["chain_before"] != chain:
            raise ViolationError(f"{folder}: {segment.name} does not continue the chain")
        at, chain = segment.end, segment.header["chain_after"]
        covering = segment
        objects.append(segment)
    return b"".join(each.log for each in objects), objects
