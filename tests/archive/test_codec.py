"""The compression algorithms: round trips, and what does not decode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS, Codec, CodecError, codec_named

EVERY_CODEC = st.sampled_from(list(CODECS.values()))


@given(EVERY_CODEC, st.lists(st.binary(max_size=2000), max_size=5))
def test_what_is_encoded_is_decoded(codec: Codec, parts: list[bytes]) -> None:
    """Byte for byte, also nothing, and several frames one after another."""
    stored = b"".join(codec.encode(part) for part in parts)

    assert b"".join(parts) == b"".join(codec.chunks(stored))


@pytest.mark.parametrize("name", ["lz4_1.0", "zstd_1.3.8"])
def test_many_frames_are_decoded_a_part_at_a_time(name: str) -> None:
    """Though they are cut anywhere between two slices."""
    codec = codec_named(name)
    parts = [bytes([number % 251]) * (number % 300) for number in range(20_000)]
    chunks = list(codec.chunks(b"".join(codec.encode(part) for part in parts)))

    assert b"".join(parts) == b"".join(chunks)
    assert max(map(len, chunks)) < 300


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


def test_an_unknown_codec_is_refused_with_those_that_are_known() -> None:
    """An archive of a later version may name one."""
    with pytest.raises(CodecError, match=r"codec 'brotli' is not one of none, lz4_1.0, zstd_1.3.8"):
        codec_named("brotli")
