"""A segment: one immutable object with a range of log, and a header that names its owner and range. Pure.

A compressed segment is a skippable frame with the header, then an ordinary frame with the log. So `zstd -dc` or
`lz4 -dc` outputs only the log. A merged segment has the frames of its parts, one after another. An uncompressed segment
is the log, then the header as a trailer. In an encrypted segment the header is always first, and what follows is
encrypted. `docs/FORMAT.md` describes the bytes. Checks cover every byte of a segment: `decode_segment` returns exactly
the encoded log, or raises.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import google_crc32c

from redoubt.archive.codec import CodecError, codec_named
from redoubt.archive.encryption import SUFFIX, DecryptionError, Key, Keys, decrypted, encrypted_with, no_keys
from redoubt.archive.framing import LONGEST_HEAD, FrameError, head_first, head_last, split_head_first, split_head_last
from redoubt.archive.record import FORMAT, Hex, RecordError, dump_record, load_record
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.log import LogPosition

_NAME = re.compile(
    r"(?P<start>[0-9]{20})-(?P<end>[0-9]{20})(?:\.e(?P<epoch>[1-9][0-9]{0,17}))?"
    r"(?P<merged>\.merged)?(?P<suffix>(?:\.zst|\.lz4|\.redo)(?:\.aes)?)\Z"
)

MOST_LOG = 128 * 1024 * 1024
"""The most bytes of log in a segment. The largest that is written has 64 MiB and one group more."""


class SegmentError(ValueError):
    """The bytes are not a complete and valid segment; the text says why."""


@dataclass(frozen=True)
class PieceIdentity:
    """The owner of a segment's log, and the engine's kind; equal in all segments of a piece."""

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
    """A segment's header. LSNs and sizes in bytes, SCNs in ns since the epoch, checksums CRC-32C.

    `chain_before` is None only in the first segment of a round, if the log before the round was never read. `data_key`
    is the id of the key that the stored bytes are encrypted with, empty if they are not encrypted.
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
    data_key: Hex = ""
    nonce: Hex = ""
    stored_crc: int = 0
    format: int = FORMAT

    @property
    def end(self) -> LogPosition:
        """Where the log continues after this segment."""
        return LogPosition(self.end_lsn, self.max_scn, self.chain_after)


@dataclass(frozen=True)
class SegmentName:
    """The name of a segment's object in its folder: the range of LSNs, whether it is merged, and the codec's suffix.

    `epoch` is the number of its writer's lease, 0 if the destination has locks. See `listing`.
    """

    start_lsn: int
    end_lsn: int
    suffix: str
    is_merged: bool = False
    epoch: int = 0

    def __str__(self) -> str:
        """The name; names sort in the order of their ranges."""
        epoch = f".e{self.epoch}" if self.epoch else ""
        return f"{self.start_lsn:020d}-{self.end_lsn:020d}{epoch}{'.merged' if self.is_merged else ''}{self.suffix}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The parsed `name`, None if it is not the name of a segment."""
        match = _NAME.match(name)
        if match is None:
            return None
        start, end, epoch = int(match["start"]), int(match["end"]), int(match["epoch"] or 0)
        return cls(start, end, match["suffix"], match["merged"] is not None, epoch)


def suffix_of(codec: str, key: Key | None) -> str:
    """The end of the name of a segment with that codec, encrypted with that key."""
    return codec_named(codec).suffix + (SUFFIX if key else "")


def encode_segment(header: SegmentHeader, log: bytes, key: Key | None = None) -> bytes:
    """The object for `log`, compressed with `header.codec`; this function fills in the header's two CRCs."""
    stored = codec_named(header.codec).encode(log)
    return assemble_segment(replace(header, log_crc=google_crc32c.value(log)), stored, key)


def assemble_segment(header: SegmentHeader, stored: bytes, key: Key | None = None) -> bytes:
    """The object for encoded log; this function fills in `stored_crc`, the caller must set `log_crc`.

    With a key, the encoded log is encrypted.
    """
    if key is not None:
        header, stored = encrypted_with(key, header, stored)
    text = dump_record(replace(header, stored_crc=google_crc32c.value(stored)))
    is_plain = header.codec == "none" and key is None
    return head_last(text, stored) if is_plain else head_first(text, stored)


def check_range(name: SegmentName) -> None:
    """Raise SegmentError unless the range of LSNs in a name may be a segment's."""
    size = name.end_lsn - name.start_lsn
    if not 0 < size <= MOST_LOG:
        raise SegmentError(f"its name gives {size} bytes of log; 1 to {MOST_LOG} are valid")


def most_stored(name: SegmentName) -> int:
    """The most bytes that the object of that name may have: its log, the frames of many small parts, the header."""
    return 2 * min(max(name.end_lsn - name.start_lsn, 0), MOST_LOG) + LONGEST_HEAD


def decode_header(name: SegmentName, data: bytes) -> SegmentHeader:
    """The header of the segment `data`, checked against its name. Raises SegmentError."""
    return _split(name, data)[0]


def check_stored(name: SegmentName, data: bytes) -> SegmentHeader:
    """The header, after all checks that need neither a key nor decoding. Raises SegmentError."""
    return _checked(name, data)[0]


def decode_stored(name: SegmentName, data: bytes, keys: Keys = no_keys) -> tuple[SegmentHeader, bytes]:
    """The header and the encoded log, decrypted, after all checks that need no decoding.

    Raises SegmentError, and KeyMissingError.
    """
    header, text, stored = _checked(name, data)
    del data  # a merged segment has 16 MiB: no more copies than needed
    try:
        return header, decrypted(header, text, stored, keys)
    except DecryptionError as error:
        raise SegmentError(str(error)) from error


def decode_log(header: SegmentHeader, stored: bytes) -> Iterator[bytes]:
    """The decoded log of `stored`, chunk by chunk. Raises SegmentError, after the last chunk at the latest.

    A chunk has at most 256 KiB, or is `stored` itself. At most one chunk beyond the header's range is decoded. Chunks
    are also the fastest way: those of a merged segment's many frames are as large.
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
        raise SegmentError(f"its log decodes to {'more' if size > expected else size} bytes, {expected} expected")
    if crc != header.log_crc:
        raise SegmentError("the log's checksum does not match")


def decode_segment(name: SegmentName, data: bytes, keys: Keys = no_keys) -> tuple[SegmentHeader, bytes]:
    """The header and the log of the segment `data`, after all checks. Raises SegmentError, and KeyMissingError."""
    header, stored = decode_stored(name, data, keys)
    parts = decode_log(header, stored)
    log = io.BytesIO(next(parts, b""))  # unlike joined chunks, it never holds the log twice
    log.seek(0, io.SEEK_END)
    log.writelines(parts)
    return header, log.getvalue()


def _checked(name: SegmentName, data: bytes) -> tuple[SegmentHeader, bytes, bytes]:
    header, text, stored = _split(name, data)
    if google_crc32c.value(stored) != header.stored_crc:
        raise SegmentError("the stored bytes' checksum does not match")
    return header, text, stored


def _split(name: SegmentName, data: bytes) -> tuple[SegmentHeader, bytes, bytes]:
    """The parsed header, its text, and the bytes that hold the log."""
    check_range(name)
    if len(data) > most_stored(name):
        raise SegmentError(f"it has more than {most_stored(name)} bytes")
    try:
        text, stored = split_head_last(data) if name.suffix == ".redo" else split_head_first(data)
        header = load_record(SegmentHeader, text)
        codec = codec_named(header.codec)
    except FrameError as error:
        raise SegmentError(str(error)) from error
    except (RecordError, CodecError) as error:
        raise SegmentError(f"its header cannot be read: {error}") from error
    if (header.start_lsn, header.end_lsn) != (name.start_lsn, name.end_lsn):
        raise SegmentError(f"its header names LSN {header.start_lsn} to {header.end_lsn}")
    if codec.suffix + (SUFFIX if header.data_key else "") != name.suffix:
        raise SegmentError(f"its header names codec {header.codec}{' and a data key' if header.data_key else ''}")
    return header, text, stored
