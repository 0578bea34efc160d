"""A part of a data backup: one immutable object with pieces of files, one after another, and a header. Pure.

It is a skippable frame with the header, then a zstd frame with the content, so that `zstd -dc` gives the content alone.
Which bytes of it are whose is said by the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import google_crc32c
import zstandard

from redoubt.archive.framing import LONGEST_HEAD, FrameError, head_first, split_head_first
from redoubt.archive.record import FORMAT, RecordError, dump_record, load_record

_LEVEL = 1
_CODEC = "zstd_1.3.8"
MAX_LENGTH = 64 * 1024 * 1024
"""Bytes of content that a part has at most; one that says more is refused before room is made for it."""
MAX_SIZE = MAX_LENGTH + MAX_LENGTH // 128 + LONGEST_HEAD
"""Bytes that a part's object has at most: what does not compress grows a little."""


class PartError(ValueError):
    """Bytes that are not a whole and sound part; the text says in what."""


@dataclass(frozen=True)
class PartHeader:
    """What a part says of itself: whose it is, its number from 1, `length` of its content in bytes, CRC-32Cs."""

    cluster: str
    cluster_id: int
    tenant_id: int
    source: str
    set_id: int
    number: int
    length: int = 0
    content_crc: int = 0
    stored_crc: int = 0
    codec: str = _CODEC
    format: int = FORMAT


def encode_part(header: PartHeader, content: bytes) -> bytes:
    """The object for `content`; length and checksums are filled in here."""
    assert len(content) <= MAX_LENGTH
    stored = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
    filled = replace(
        header,
        length=len(content),
        content_crc=google_crc32c.value(content),
        stored_crc=google_crc32c.value(stored),
    )
    return head_first(dump_record(filled), stored)


def decode_part(data: bytes) -> tuple[PartHeader, bytes]:
    """Header and content, every check made. Raises PartError."""
    try:
        text, stored = split_head_first(data)
        header = load_record(PartHeader, text)
    except (FrameError, RecordError) as error:
        raise PartError(str(error)) from error
    if header.codec != _CODEC:
        raise PartError(f"it is {header.codec!r}; this version reads {_CODEC}")
    if not 0 <= header.length <= MAX_LENGTH:
        raise PartError(f"it says that it holds {header.length} bytes, and at most {MAX_LENGTH} can be")
    if google_crc32c.value(stored) != header.stored_crc:
        raise PartError("the stored bytes' checksum does not match")
    return header, _content(header, stored)


def _content(header: PartHeader, stored: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(stored) != header.length:
            raise PartError(f"its frame does not hold {header.length} bytes")
        content = zstandard.ZstdDecompressor().decompress(stored)
    except zstandard.ZstdError as error:
        raise PartError(f"it does not decode: {error}") from error
    if google_crc32c.value(content) != header.content_crc:
        raise PartError("the content's checksum does not match")
    return content
