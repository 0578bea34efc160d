"""The compression algorithms: round trips, and what does not decode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS, Codec, CodecError, codec_named

EVERY_CODEC = st.sampled_from(list(CODECS.values()))


@given(EVERY_CODEC, st.binary(max_size=2000))
def test_what_is_encoded_is_decoded(codec: Codec, data: bytes) -> None:
    """Byte for byte, also nothing."""
    assert data == codec.decode(codec.encode(data), len(data))


@given(EVERY_CODEC, st.binary(max_size=200), st.integers(-1, 300) | st.sampled_from([2**40, 2**63, 2**70]))
def test_another_size_is_refused(codec: Codec, data: bytes, size: int) -> None:
    """Too few bytes as too many, and sizes that no memory has."""
    if size == len(data):
        size += 1
    with pytest.raises(CodecError):
        codec.decode(codec.encode(data), size)


@given(st.sampled_from(["lz4_1.0", "zstd_1.3.8"]), st.binary(max_size=100), st.integers(1, 100))
def test_other_bytes_are_refused(name: str, stored: bytes, size: int) -> None:
    """Bytes that no frame begins with."""
    with pytest.raises(CodecError, match=r"not an? (lz4|zstd) frame|decodes to 0 bytes"):
        codec_named(name).decode(stored, size)


@pytest.mark.parametrize("name", ["lz4_1.0", "zstd_1.3.8"])
def test_a_frame_cut_short_is_refused(name: str) -> None:
    """At every length."""
    data = b"redo log " * 20
    stored = codec_named(name).encode(data)
    for length in range(len(stored)):
        with pytest.raises(CodecError):
            codec_named(name).decode(stored[:length], len(data))


def test_an_unknown_codec_is_refused_with_those_that_are_known() -> None:
    """An archive of a later version may name one."""
    with pytest.raises(CodecError, match=r"codec 'brotli' is not one of none, lz4_1.0, zstd_1.3.8"):
        codec_named("brotli")
