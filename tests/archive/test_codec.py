"""The compression algorithms: round trips, and what does not decode."""

from __future__ import annotations

import tracemalloc

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS, Codec, CodecError, codec_named

from .fakes import random_log

MOST = 256 * 1024
"""Bytes that are decoded at a time, at most."""
MEBIBYTE = 1 << 20
EVERY_CODEC = st.sampled_from(list(CODECS.values()))


@given(EVERY_CODEC, st.lists(st.binary(max_size=2000), max_size=5))
def test_what_is_encoded_is_decoded(codec: Codec, parts: list[bytes]) -> None:
    """Byte for byte, also nothing, and several frames one after another."""
    stored = b"".join(codec.encode(part) for part in parts)

    assert b"".join(parts) == b"".join(codec.chunks(stored))


@pytest.mark.parametrize("name", ["lz4_1.0", "zstd_1.3.8"])
def test_many_frames_are_decoded_a_part_at_a_time(name: str) -> None:
    """Though they end anywhere in it."""
    codec = codec_named(name)
    parts = [bytes([number % 251]) * (number % 300) for number in range(20_000)]
    chunks = list(codec.chunks(b"".join(codec.encode(part) for part in parts)))

    assert b"".join(parts) == b"".join(chunks)
    assert max(map(len, chunks)) <= MOST


@given(st.sampled_from(["lz4_1.0", "zstd_1.3.8"]), st.binary(min_size=1, max_size=100))
def test_other_bytes_are_refused(name: str, stored: bytes) -> None:
    """Bytes that no frame begins with."""
    with pytest.raises(CodecError, match=r"not an? (lz4|zstd) frame"):
        list(codec_named(name).chunks(stored))


@pytest.mark.parametrize("name", ["lz4_1.0", "zstd_1.3.8"])
def test_a_frame_cut_short_is_refused(name: str) -> None:
    """At every length."""
    data = b"redo log " * 20
    stored = codec_named(name).encode(data)
    for length in range(1, len(stored)):
        for before in (b"", stored):
            with pytest.raises(CodecError):
                list(codec_named(name).chunks(before + stored[:length]))


@given(
    parts=st.lists(
        st.sampled_from([b"", b"redo log ", bytes(300_000), random_log(300_000), b"x" * 131_072]), min_size=1
    ),
    compressor=st.builds(
        zstandard.ZstdCompressor,
        level=st.integers(1, 6),
        write_checksum=st.booleans(),
        write_content_size=st.booleans(),
    ),
    data=st.data(),
)
def test_zstd_frames_of_any_kind_are_decoded_whole_only(
    parts: list[bytes], compressor: zstandard.ZstdCompressor, data: st.DataObject
) -> None:
    """Blocks that are repeated bytes, raw and compressed; with and without sizes and checksums."""
    codec = codec_named("zstd_1.3.8")
    frames = [compressor.compress(part) for part in parts]
    stored = b"".join(frames)

    assert b"".join(parts) == b"".join(codec.chunks(stored))
    cut = data.draw(st.integers(1, min(len(frames[-1]) - 1, 20)))
    with pytest.raises(CodecError, match="not a zstd frame"):
        list(codec.chunks(stored[:-cut]))


@pytest.mark.parametrize(
    "bomb",
    [
        lz4.frame.compress(bytes(64 * MEBIBYTE)),
        lz4.frame.compress(bytes(64 * MEBIBYTE), store_size=False, block_size=lz4.frame.BLOCKSIZE_MAX4MB),
        zstandard.ZstdCompressor(write_content_size=True).compress(bytes(64 * MEBIBYTE)),
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 * MEBIBYTE)),
    ],
    ids=["lz4", "lz4-large-blocks", "zstd", "zstd-unsized"],
)
def test_a_frame_that_expands_to_much_is_decoded_a_part_at_a_time(bomb: bytes) -> None:
    """Who takes one part has paid for one."""
    codec = codec_named("lz4_1.0" if bomb.startswith(bytes.fromhex("04224d18")) else "zstd_1.3.8")
    tracemalloc.start()
    chunks = codec.chunks(bomb)
    try:
        assert next(chunks) == bytes(MOST)
        assert tracemalloc.get_traced_memory()[1] < 2 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert sum(map(len, chunks)) == 64 * MEBIBYTE - MOST


def test_a_zstd_frame_with_a_huge_window_is_refused() -> None:
    """Decoding it would take as much memory as the window has."""
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    stored = zstandard.ZstdCompressor(compression_params=parameters).compress(random_log(100) * 200_000)
    with pytest.raises(CodecError, match=r"not a zstd frame: .*memory"):
        list(codec_named("zstd_1.3.8").chunks(stored))


def test_an_unknown_codec_is_refused_with_those_that_are_known() -> None:
    """An archive of a later version may name one."""
    with pytest.raises(CodecError, match=r"codec 'brotli' is not one of none, lz4_1.0, zstd_1.3.8"):
        codec_named("brotli")
