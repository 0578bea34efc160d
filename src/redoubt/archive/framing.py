"""A header text beside stored bytes: before them in a skippable frame, which zstd and lz4 ignore, or after them.

`docs/FORMAT.md` describes the bytes. Pure.
"""

from __future__ import annotations

import struct
from typing import Any

import google_crc32c

_MAGIC = b"REDOUBT\x01"
_SKIPPABLE_MAGIC = 0x184D2A50
_FRAME = struct.Struct("<II")  # magic and length of a skippable frame, as zstd and lz4 define it
_HEAD = struct.Struct("<8sII")  # our magic, length and CRC-32C of the header text

LONGEST_HEAD = 64 * 1024
"""The most bytes of a header frame: reading so many is enough to parse the header."""


class FrameError(ValueError):
    """The bytes have no valid header; the text says why."""


def head_first(text: bytes, stored: bytes) -> bytes:
    """The header in a skippable frame, then the stored bytes."""
    head = _HEAD.pack(_MAGIC, len(text), google_crc32c.value(text))
    return b"".join((_FRAME.pack(_SKIPPABLE_MAGIC, _HEAD.size + len(text)), head, text, stored))


def head_last(text: bytes, stored: bytes) -> bytes:
    """The stored bytes, then the header."""
    return b"".join((stored, text, _HEAD.pack(_MAGIC, len(text), google_crc32c.value(text))))


def split_head_first(data: bytes) -> tuple[bytes, bytes]:
    """The header text and the stored bytes that `head_first` joined. Raises FrameError."""
    magic, frame_length = _unpack(_FRAME, data, 0)
    length = _head_length(data, _FRAME.size)
    if magic != _SKIPPABLE_MAGIC or frame_length != _HEAD.size + length:
        raise FrameError("the header frame is damaged")
    text_at = _FRAME.size + _HEAD.size
    return _checked(data, _FRAME.size, text_at, length), data[text_at + length :]


def split_head_last(data: bytes) -> tuple[bytes, bytes]:
    """The header text and the stored bytes that `head_last` joined. Raises FrameError."""
    head_at = len(data) - _HEAD.size
    length = _head_length(data, head_at)
    text_at = max(head_at - length, 0)
    return _checked(data, head_at, text_at, length), data[:text_at]


def _checked(data: bytes, head_at: int, text_at: int, length: int) -> bytes:
    """The header text, after a check of its checksum. Raises FrameError."""
    _, _, crc = _unpack(_HEAD, data, head_at)
    text = data[text_at : min(text_at + length, len(data))]
    if len(text) != length or google_crc32c.value(text) != crc:
        raise FrameError("the header's checksum does not match")
    return text


def _head_length(data: bytes, at: int) -> int:
    magic, length, _ = _unpack(_HEAD, data, at)
    if magic != _MAGIC:
        raise FrameError("the header does not begin with REDOUBT")
    if length > LONGEST_HEAD - _FRAME.size - _HEAD.size:
        raise FrameError(f"the header has {length} bytes; at most {LONGEST_HEAD} are valid")
    return int(length)


def _unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if not 0 <= at <= len(data) - layout.size:
        raise FrameError(f"too short: {len(data)} bytes")
    return layout.unpack_from(data, at)
