"""A part of a data backup: one immutable object with a header and the bytes of several files. Pure.

A part is a skippable frame with the header, then a zstd frame with the content. So `zstd -dc` outputs only the content,
unless the frame is encrypted. The manifest records which bytes belong to which file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import google_crc32c
import zstandard

from redoubt.archive.encryption import DecryptionError, Key, Keys, decrypted, encrypted_with, no_keys
from redoubt.archive.framing import LONGEST_HEAD, FrameError, head_first, split_head_first
from redoubt.archive.record import FORMAT, Hex, RecordError, dump_record, load_record, shown

_LEVEL = 1
_CODEC = "zstd_1.3.8"
MAX_LENGTH = 64 * 1024 * 1024
"""The most bytes of a part's content; a header with more is refused before memory is allocated."""
MAX_SIZE = MAX_LENGTH + MAX_LENGTH // 128 + LONGEST_HEAD
"""The most bytes of a part's object: incompressible content grows a little."""


class PartError(ValueError):
    """The bytes are not a complete and valid part; the text says why."""


@dataclass(frozen=True)
class PartHeader:
    """A part's header: its owner, its number (from 1), the `length` of its content in bytes, CRC-32Cs.

    `data_key` is the id of the key that the stored bytes are encrypted with, empty if they are not encrypted.
    """

    cluster: str
    cluster_id: int
    tenant_id: int
    source: str
    set_id: int
    number: int
    length: int = 0
    content_crc: int = 0
    data_key: Hex = ""
    nonce: Hex = ""
    stored_crc: int = 0
    codec: str = _CODEC
    format: int = FORMAT


def encode_part(header: PartHeader, content: bytes, key: Key | None = None) -> bytes:
    """The object for `content`, encrypted if there is a key; this function fills in the length and the checksums."""
    assert len(content) <= MAX_LENGTH
    stored = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
    filled = replace(header, length=len(content), content_crc=google_crc32c.value(content))
    if key is not None:
        filled, stored = encrypted_with(key, filled, stored)
    return head_first(dump_record(replace(filled, stored_crc=google_crc32c.value(stored))), stored)


def check_part(data: bytes) -> PartHeader:
    """The header, after all checks that need neither a key nor decoding. Raises PartError."""
    return _checked(data)[0]


def decode_part(data: bytes, keys: Keys = no_keys) -> tuple[PartHeader, bytes]:
    """The header and the content, after all checks. Raises PartError, and KeyMissingError."""
    header, text, stored = _checked(data)
    try:
        return header, _content(header, decrypted(header, text, stored, keys))
    except DecryptionError as error:
        raise PartError(str(error)) from error


def _checked(data: bytes) -> tuple[PartHeader, bytes, bytes]:
    """The parsed header, its text, and the stored bytes."""
    try:
        text, stored = split_head_first(data)
        header = load_record(PartHeader, text)
    except (FrameError, RecordError) as error:
        raise PartError(str(error)) from error
    if header.codec != _CODEC:
        raise PartError(f"unsupported codec {shown(header.codec)}; this version reads {_CODEC}")
    if not 0 <= header.length <= MAX_LENGTH:
        raise PartError(f"its header gives {header.length} bytes of content; at most {MAX_LENGTH} are valid")
    if google_crc32c.value(stored) != header.stored_crc:
        raise PartError("the stored bytes' checksum does not match")
    return header, text, stored


def _content(header: PartHeader, stored: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(stored) != header.length:
            raise PartError(f"its frame does not hold {header.length} bytes")
        content = zstandard.ZstdDecompressor().decompress(stored)
    except zstandard.ZstdError as error:
        raise PartError(f"its content does not decode: {error}") from error
    if google_crc32c.value(content) != header.content_crc:
        raise PartError("the content's checksum does not match")
    return content
