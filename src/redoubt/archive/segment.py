"""A segment: one immutable object with a run of log, and a header that says whose and which. Pure.

A compressed segment is a skippable frame with the header, then an ordinary frame with the log, so that `zstd -dc` or
`lz4 -dc` gives the log alone; a merged one has the frames of its parts, one after another. An uncompressed one is the
log and then the header as a trailer. `docs/FORMAT.md` has the bytes. Every byte of a segment is covered by a check:
`decode_segment` gives back exactly what was encoded or raises.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import google_crc32c

from redoubt.archive.codec import CodecError, codec_named
from redoubt.archive.framing import FrameError, head_first, head_last, split_head_first, split_head_last
from redoubt.archive.record import FORMAT, RecordError, dump_record, load_record
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.log import LogPosition

_NAME = re.compile(r"(?P<start>[0-9]{20})-(?P<end>[0-9]{20})(?P<merged>\.merged)?(?P<suffix>\.zst|\.lz4|\.redo)\Z")


class SegmentError(ValueError):
    """Bytes that are not a whole and sound segment; the text says in what."""


@dataclass(frozen=True)
class PieceIdentity:
    """Whose log a segment holds, and of which kind the engine is: every segment of a piece says the same."""

    cluster: str
    cluster_id: int
    incarnation: int
    tenant_id: int
    round: int
    piece: int
    source: str
    engine_kind: str = SEEKDB


@dataclass(frozen=True)
class SegmentHeader:
    """What a segment says of itself. LSNs and sizes in bytes, SCNs in ns since the epoch, checksums CRC-32C.

    `chain_before` is None only in a round's first segment, when the log before it was never read.
    """

    of: PieceIdentity
    start_lsn: int
    end_lsn: int
    min_scn: int
    max_scn: int
    chain_before: int | None
    chain_after: int
    codec: str
    log_crc: int = 0
    stored_crc: int = 0
    format: int = FORMAT

    @property
    def end(self) -> LogPosition:
        """Where the log goes on after this segment."""
        return LogPosition(self.end_lsn, self.max_scn, self.chain_after)


@dataclass(frozen=True)
class SegmentName:
    """The part of a segment's object name that this format gives: the range of LSNs, and the kind."""

    start_lsn: int
    end_lsn: int
    suffix: str
    is_merged: bool = False

    def __str__(self) -> str:
        """The name, such that names sort as their ranges do."""
        return f"{self.start_lsn:020d}-{self.end_lsn:020d}{'.merged' if self.is_merged else ''}{self.suffix}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The parts of `name`, None if it is not the name of a segment."""
        match = _NAME.match(name)
        if match is None:
            return None
        return cls(int(match["start"]), int(match["end"]), match["suffix"], match["merged"] is not None)


def encode_segment(header: SegmentHeader, log: bytes) -> bytes:
    """The object for `log`, compressed with `header.codec`; the header's two CRCs are filled in here."""
    stored = codec_named(header.codec).encode(log)
    return assemble_segment(replace(header, log_crc=google_crc32c.value(log)), stored)


def assemble_segment(header: SegmentHeader, stored: bytes) -> bytes:
    """The object for log that is encoded already; `stored_crc` is filled in here, `log_crc` must be right."""
    text = dump_record(replace(header, stored_crc=google_crc32c.value(stored)))
    return head_last(text, stored) if header.codec == "none" else head_first(text, stored)


def decode_header(name: SegmentName, data: bytes) -> SegmentHeader:
    """The header of the segment `data`, checked against its name. Raises SegmentError."""
    return _split(name, data)[0]


def decode_stored(name: SegmentName, data: bytes) -> tuple[SegmentHeader, bytes]:
    """The header, and the log as it is stored: every check made that needs no decoding. Raises SegmentError."""
    header, stored = _split(name, data)
    if google_crc32c.value(stored) != header.stored_crc:
        raise SegmentError("the stored bytes' checksum does not match")
    return header, stored


def decode_log(header: SegmentHeader, stored: bytes) -> Iterator[bytes]:
    """The log of `decode_stored`'s answer, a part at a time; SegmentError, at the end at the latest, if it is not that.

    A part has at most 256 KiB, or is `stored` itself; never more is decoded than one part beyond the range that the
    header names. This is the fastest way too: the parts of a merged segment's many frames are as large.
    """
    size, crc, expected = 0, 0, header.end_lsn - header.start_lsn
    try:
        for chunk in codec_named(header.codec).chunks(stored):
            size, crc = size + len(chunk), google_crc32c.extend(crc, chunk)
            if size > expected:
                break
            yield chunk
    except CodecError as error:
        raise SegmentError(str(error)) from error
    if size != expected:
        raise SegmentError(f"it decodes to {'more' if size > expected else size} bytes, {expected} expected")
    if crc != header.log_crc:
        raise SegmentError("the log's checksum does not match")


def decode_segment(name: SegmentName, data: bytes) -> tuple[SegmentHeader, bytes]:
    """The header and the log of the segment `data`, every check made. Raises SegmentError."""
    header, stored = decode_stored(name, data)
    parts = decode_log(header, stored)
    log = io.BytesIO(next(parts, b""))  # unlike parts that are joined, it never holds the log twice
    log.seek(0, io.SEEK_END)
    log.writelines(parts)
    return header, log.getvalue()


def _split(name: SegmentName, data: bytes) -> tuple[SegmentHeader, bytes]:
    """The parsed header and the bytes that hold the log."""
    try:
        text, stored = split_head_last(data) if name.suffix == ".redo" else split_head_first(data)
        header = load_record(SegmentHeader, text)
        codec = codec_named(header.codec)
    except FrameError as error:
        raise SegmentError(str(error)) from error
    except (RecordError, CodecError) as error:
        raise SegmentError(f"its header is not to be read: {error}") from error
    if (header.start_lsn, header.end_lsn) != (name.start_lsn, name.end_lsn):
        raise SegmentError(f"its header says LSN {header.start_lsn} to {header.end_lsn}")
    if codec.suffix != name.suffix:
        raise SegmentError(f"its header says that it is {header.codec}")
    return header, stored
