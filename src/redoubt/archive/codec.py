"""The compression algorithms of `backup_log_archive_option`, as frames that the standard tools decode.

Each codec is named as OceanBase names it. The frames are ordinary: `zstd -dc` and `lz4 -dc` read them. Frames that
follow each other decode to what they hold, one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import lz4.frame
import zstandard

_ZSTD_LEVEL = 1  # on row log level 3 gives the same ratio at half the speed
_SLICE = 64 * 1024
"""Bytes of stored data that are decoded at a time."""


class CodecError(ValueError):
    """Stored bytes that do not decode to what was stored."""


class Codec(Protocol):
    """One way to store bytes. `name` is recorded with the data, `suffix` ends the object's name."""

    name: str
    suffix: str

    def encode(self, data: bytes) -> bytes:
        """The stored form of `data`."""
        ...

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        """The bytes that `stored` was made from, a part at a time. Raises CodecError."""
        ...


class _Plain:
    name = "none"
    suffix = ".redo"

    def encode(self, data: bytes) -> bytes:
        return data

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        yield stored


class _Lz4:
    name = "lz4_1.0"
    suffix = ".lz4"

    def encode(self, data: bytes) -> bytes:
        return bytes(lz4.frame.compress(data, content_checksum=True))

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        return _chunks(lz4.frame.LZ4FrameDecompressor, stored, "an lz4")


class _Zstd:
    name = "zstd_1.3.8"
    suffix = ".zst"

    def encode(self, data: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(data)

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        return _chunks(zstandard.ZstdDecompressor().decompressobj, stored, "a zstd")


class _Frame(Protocol):
    """What decodes one frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes) -> bytes: ...


def _chunks(new_frame: Callable[[], _Frame], stored: bytes, kind: str) -> Iterator[bytes]:
    """What the frames in `stored` hold; a slice at a time, so that the bytes behind a frame are never copied often."""
    view, frame = memoryview(stored), None
    for at in range(0, len(view), _SLICE):
        left = bytes(view[at : at + _SLICE])
        while left:
            frame = frame or new_frame()
            try:
                chunk = frame.decompress(left)
            except (RuntimeError, zstandard.ZstdError) as error:
                raise CodecError(f"not {kind} frame: {error}") from error
            left = (frame.unused_data or b"") if frame.eof else b""
            frame = None if frame.eof else frame
            if chunk:
                yield chunk
    if frame is not None:
        raise CodecError(f"not {kind} frame: it is cut short")


CODECS: dict[str, Codec] = {codec.name: codec for codec in (_Plain(), _Lz4(), _Zstd())}
"""The codecs by name."""


def codec_named(name: str) -> Codec:
    """The codec that is recorded as `name`. Raises CodecError for one that this version does not know."""
    try:
        return CODECS[name]
    except KeyError:
        raise CodecError(f"codec {name!r} is not one of {', '.join(CODECS)}") from None
