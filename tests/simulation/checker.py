"""What must hold of a destination at every moment, judged from its raw bytes by docs/FORMAT.md alone.

Nothing of the product is used here but, for a share of the checks, PieceStore: what it reads must be the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import lz4.frame
import zstandard

from .disk import Disk
from .engine import History
from .service import ROOT, TENANT, Promises

CLOG = f"{ROOT}/c/1/incarnation_1/{TENANT}/clog"
_NAME = re.compile(r"([0-9]{20})-([0-9]{20})(\.merged)?\.(zst|lz4|redo)")


class ViolationError(AssertionError):
    """The archive is not what it must be."""


@dataclass(frozen=True)
class Segment:
    """A segment as decoded here."""

    name: str
    start: int
    end: int
    is_merged: bool
    header: dict[str, Any]
    log: bytes


@dataclass
class Round:
    """A round as found."""

    start: int
    log: bytes
    end_scn: int
    objects: dict[str, bytes]
    """The objects that hold it, without those that a merged one covers."""
    history: History
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """LSN at which it ends."""
        return self.start + len(self.log)


class Checker:
    """Judges the disks of one schedule; what it has decoded it remembers."""

    def __init__(self, promises: Promises, counts: Counter[str]) -> None:
        self._promises = promises
        self.counts = counts
        self._decoded: dict[tuple[str, bytes], Segment] = {}

    def check(self, disk: Disk, histories: list[History]) -> dict[int, Round]:
        """The rounds of a disk, all found to be right. Raises ViolationError."""
        rounds = {}
        for name in disk.folders(CLOG):
            found = self.round(int(name), disk.files(f"{CLOG}/{name}"), histories)
            if found is not None:
                rounds[int(name)] = found
        for number, lsn in self._promises.durable.items():
            end = rounds[number].end if number in rounds else 0
            if end < lsn:
                raise ViolationError(f"round {number} was reported durable up to {lsn}, and ends at {end}")
        for number, found in rounds.items():
            self._check_interruption(number, found)
            self._check_manifest(number, found)
            self._check_hole(number, found, rounds.get(number - 1))
        return rounds

    def round(self, number: int, files: dict[str, bytes], histories: list[History]) -> Round | None:
        """One round, from the files in its folder; None if it has not been claimed yet."""
        segments = [self._segment(name, data, number) for name, data in files.items() if _NAME.fullmatch(name)]
        records = {
            name: _record(name, data)
            for name, data in files.items()
            if not name.startswith(".") and not _NAME.fullmatch(name)
        }
        if "round_info" not in records:
            if segments:
                raise ViolationError(f"round {number} has segments and no round_info")
            return None
        start = records["round_info"]["start_lsn"]
        reported = self._promises.starts.get(number, start)
        if reported != start:
            raise ViolationError(f"round {number} was reported to begin at {reported}, and begins at {start}")
        log, objects = _joined(number, start, segments)
        history = next((history for history in histories if history.holds(start, log)), None)
        if history is None:
            raise ViolationError(f"round {number}: what it holds from {start} on is no log that the engine ever had")
        scn = objects[-1].header["max_scn"] if objects else 0
        return Round(start, log, scn, {each.name: files[each.name] for each in objects}, history, records)

    def _check_interruption(self, number: int, found: Round) -> None:
        """What broke a round is on record, with the place at which it ends; and only then."""
        record, promises = found.records.get("interruption"), self._promises
        if record is None:
            if number in promises.opened:
                raise ViolationError(f"round {number}: its interruption was said to be on record, and is not")
            return
        if (record["end_lsn"], record["end_scn"]) != (found.end, found.end_scn):
            raise ViolationError(f"round {number} ends at {found.end}, {found.end_scn}, and on record is {record}")
        if record["cause"] != promises.broken.get(number):
            raise ViolationError(f"round {number} was broken by {promises.broken.get(number)!r}, on record is {record}")
        if promises.opened.get(number, (found.end, found.end_scn)) != (found.end, found.end_scn):
            raise ViolationError(f"round {number} ends at {found.end}, and reported was {promises.opened[number]}")

    def _check_manifest(self, number: int, found: Round) -> None:
        """A round that was stopped in order has a manifest, and one with a manifest is exactly what that says."""
        manifest, promises = found.records.get("single_piece_info"), self._promises
        if manifest is None:
            if promises.stopped.get(number) == "":
                raise ViolationError(f"round {number} was said to be stopped, and has no manifest")
            return
        listed = {each["name"]: (each["size"], each["sha256"]) for each in manifest["segments"]}
        present = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in found.objects.items()}
        if listed != present or list(listed) != list(present):
            raise ViolationError(f"round {number} consists of {list(present)}, and its manifest lists {list(listed)}")
        if (manifest["start_lsn"], manifest["end_lsn"], manifest["end_scn"]) != (found.start, found.end, found.end_scn):
            raise ViolationError(f"round {number} is from {found.start} to {found.end}, and not as its manifest says")
        if manifest["broken_by"] != found.records.get("interruption", {"cause": ""})["cause"]:
            raise ViolationError(f"round {number}: its manifest says that {manifest['broken_by']!r} broke it")

    def _check_hole(self, number: int, found: Round, before: Round | None) -> None:
        """What is missing between two rounds is on record, as far as that was said; and nothing else is."""
        record, reported = found.records.get("hole_info"), self._promises.closed.get(number)
        if record is None and reported is None:
            if before is not None and found.log and self._promises.stopped.get(number) == "":
                raise ViolationError(f"round {number} was stopped, and nobody has said what is missing before it")
            return
        if before is None:
            if record is not None:
                raise ViolationError(f"round {number} has a hole on record after a round that never was: {record}")
            return
        start = before.end  # by LSN: where a log went on differently cannot be seen in the archive
        is_missing = found.start > start
        if reported is not None and (reported[2] > reported[1]) != is_missing:
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, reported was {reported}")
        if (record is not None) != is_missing:
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, on record is {record}")
        if record is not None and (record["after"], record["start_lsn"], record["end_lsn"]) != (
            number - 1,
            start,
            found.start,
        ):
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, on record is {record}")

    def _segment(self, name: str, data: bytes, number: int) -> Segment:
        key = (name, data)
        if key not in self._decoded:
            self._decoded[key] = decode(name, data)
            self.counts["merged object" if self._decoded[key].is_merged else "segment"] += 1
        segment = self._decoded[key]
        if segment.header["round"] != number:
            raise ViolationError(f"{name} in round {number} says that it is of round {segment.header['round']}")
        return segment


def decode(name: str, data: bytes) -> Segment:
    """A segment, from its bytes. Raises ViolationError."""
    match = _NAME.fullmatch(name)
    assert match is not None
    try:
        if match[4] == "redo":
            mark, length, crc = struct.unpack("<8sII", data[-16:])
            text, stored = data[-16 - length : -16], data[: -16 - length]
            log = stored
        else:
            magic, frame, mark, length, crc = struct.unpack("<II8sII", data[:24])
            text, stored = data[24 : 24 + length], data[24 + length :]
            assert (magic, frame) == (0x184D2A50, 16 + length), "skippable frame"
            log = _unpacked_lz4(stored) if match[4] == "lz4" else _unpacked_zstd(stored)
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
    return Segment(name, start, end, match[3] is not None, header, log)


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


def _joined(number: int, start: int, segments: list[Segment]) -> tuple[bytes, list[Segment]]:
    """The log that segments hold from `start` on, and those that hold it: parts of merged ones are passed over."""
    at, chain = start, None
    objects: list[Segment] = []
    covering: Segment | None = None
    for segment in sorted(segments, key=lambda each: (each.start, -each.end, not each.is_merged)):
        if covering is not None and covering.is_merged and segment.end <= covering.end:
            if covering.log[segment.start - covering.start : segment.end - covering.start] != segment.log:
                raise ViolationError(f"round {number}: {segment.name} holds other log than {covering.name}")
            continue
        if segment.start != at:
            raise ViolationError(f"round {number}: after {at} comes {segment.name}: a hole or a double")
        if at != start and segment.header["chain_before"] != chain:
            raise ViolationError(f"round {number}: {segment.name} does not continue the chain")
        at, chain = segment.end, segment.header["chain_after"]
        covering = segment
        objects.append(segment)
    return b"".join(each.log for each in objects), objects


def _record(name: str, data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except ValueError as error:
        raise ViolationError(f"{name} is damaged: {data[:100]!r}") from error
    assert isinstance(record, dict)
    return record
