"""The compression algorithms of `backup_log_archive_option`, as frames that the standard tools decode.

Codecs have OceanBase's names. `zstd -dc` and `lz4 -dc` read the frames. Concatenated frames decode to their
concatenated contents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import lz4.frame
import zstandard

from redoubt.archive.record import shown

_ZSTD_LEVEL = 1  # on row log level 3 gives the same ratio at half the speed
_CHUNK = 256 * 1024
"""The most bytes decoded at a time: they are still in the processor's cache when the caller uses them."""
_MOST_WINDOW = 8 * 1024 * 1024
"""The largest window of a zstd frame in bytes; level 1 uses 512 KiB."""
_ZSTD_MAGIC = bytes.fromhex("28b52ffd")
_ZSTD_HEADER = 18
"""The most bytes of a zstd frame's header."""


class CodecError(ValueError):
    """Stored bytes do not decode, or their codec is unknown."""


class Codec(Protocol):
    """One way to store bytes. `name` is recorded with the data, `suffix` ends the object's name."""

    name: str
    suffix: str

    def encode(self, data: bytes) -> bytes:
        """The stored form of `data`."""
        ...

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        """The decoded bytes of `stored`, chunk by chunk. Raises CodecError.

        A chunk is at most 256 KiB, or `stored` itself. Nothing beyond the yielded chunks is decoded.
        """
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
        return _lz4_chunks(stored)


class _Zstd:
    name = "zstd_1.3.8"
    suffix = ".zst"

    def encode(self, data: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(data)

    def chunks(self, stored: bytes) -> Iterator[bytes]:
        return _zstd_chunks(stored)


def _lz4_chunks(stored: bytes) -> Iterator[bytes]:
    context, view, at, is_whole = lz4.frame.create_decompression_context(), memoryview(stored), 0, True
    while at < len(view):
        try:
            chunk, used, is_whole = lz4.frame.decompress_chunk(context, view[at:], max_length=_CHUNK)
        except RuntimeError as error:
            raise CodecError(f"not an lz4 frame: {error}") from error
        at += used
        if chunk:
            yield chunk
    if not is_whole:
        raise CodecError("not an lz4 frame: the frame is truncated")


def _zstd_chunks(stored: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    try:
        _check_zstd_frames(stored)
        frames = decompressor.stream_reader(stored, read_across_frames=True)
        while chunk := frames.read(_CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        raise CodecError(f"not a zstd frame: {error}") from error


def _check_zstd_frames(stored: bytes) -> None:
    """Check that the last frame ends where `stored` ends, because the decoder ignores a truncated last frame.

    Raises CodecError and ZstdError. A frame is a header, blocks, and an optional checksum. A block begins with three
    bytes: one bit (whether the block is the last), two bits (its kind), and its size. A block of kind 1 is one repeated
    byte.
    """
    at = 0
    while at < len(stored):
        head = stored[at : at + _ZSTD_HEADER]
        if not head.startswith(_ZSTD_MAGIC):
            raise CodecError(f"not a zstd frame: the first bytes are {head[:4].hex(' ')}")
        has_checksum = zstandard.get_frame_parameters(head).has_checksum
        at, is_last = at + zstandard.frame_header_size(head), False
        while not is_last and at < len(stored):
            block = int.from_bytes(stored[at : at + 3], "little")
            is_last, kind = bool(block & 1), block >> 1 & 3
            at += 3 + (1 if kind == 1 else block >> 3)
        at += 4 if has_checksum else 0
        if at > len(stored) or not is_last:
            raise CodecError("not a zstd frame: the frame is truncated")


CODECS: dict[str, Codec] = {codec.name: codec for codec in (_Plain(), _Lz4(), _Zstd())}
"""The codecs by name."""


def codec_named(name: str) -> Codec:
    """The codec with the recorded name `name`. Raises CodecError for an unknown name."""
    try:
        return CODECS[name]
    except KeyError:
        raise CodecError(f"codec {shown(name)} is not one of {', '.join(CODECS)}") from None
