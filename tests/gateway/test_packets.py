"""Values and packets, there and back, and bytes that are neither."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.packets import PacketBuilder, Payload, frame, lenenc_bytes, lenenc_int
from redoubt.gateway.protocol import MAX_PART


@given(st.integers(0, 2**64 - 1))
def test_a_lenenc_integer_comes_back(value: int) -> None:
    """For every integer of 64 bits."""
    payload = Payload(lenenc_int(value))

    assert payload.lenenc_int() == value
    assert payload.remaining == 0


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 1), (250, 1), (251, 3), (0xFFFF, 3), (0x10000, 4), (0xFFFFFF, 4), (0x1000000, 9), (2**64 - 1, 9)],
)
def test_a_lenenc_integer_is_as_short_as_it_can_be(value: int, size: int) -> None:
    """The boundaries of the four lengths."""
    assert len(lenenc_int(value)) == size


@given(st.binary(max_size=70_000), st.binary(max_size=10))
def test_a_lenenc_string_comes_back(value: bytes, after: bytes) -> None:
    """With whatever follows it untouched."""
    payload = Payload(lenenc_bytes(value) + after)

    assert payload.lenenc_bytes() == value
    assert payload.rest() == after


@given(st.lists(st.sampled_from(["peek", "lenenc_int", "lenenc_bytes", "until_nul", "rest"])), st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(reads: list[str], data: bytes) -> None:
    """No sequence of reads on any bytes raises anything but a ProtocolError, or reads past the end."""
    payload = Payload(data)
    with contextlib.suppress(ProtocolError):
        for read in reads:
            getattr(payload, read)()
    assert 0 <= payload.remaining <= len(data)


@pytest.mark.parametrize("data", [b"\xfb", b"\xff", b"\xfc\1", b"\xfd\1\1", b"\xfe1234567", b""])
def test_what_is_no_lenenc_integer(data: bytes) -> None:
    """NULL, the mark of an error, and lengths that are cut off."""
    with pytest.raises(ProtocolError):
        Payload(data).lenenc_int()


def test_a_string_that_does_not_end() -> None:
    """The NUL is required."""
    with pytest.raises(ProtocolError):
        Payload(b"abc").until_nul()


def test_nothing_to_peek_at() -> None:
    """The end is the end."""
    with pytest.raises(ProtocolError):
        Payload(b"").peek()


@given(st.lists(st.binary(max_size=300)), st.integers(0, 1000))
def test_packets_carry_running_numbers(payloads: list[bytes], first: int) -> None:
    """Each payload is a packet, and numbers wrap after 255."""
    packets = PacketBuilder(first)
    for payload in payloads:
        packets.add(payload)
    data, found = bytes(packets.data), []
    for number in range(len(payloads)):
        length = int.from_bytes(data[:3], "little")
        assert data[3] == (first + number) & 0xFF
        found.append(data[4 : 4 + length])
        data = data[4 + length :]

    assert found == payloads
    assert data == b""
    assert packets.sequence == (first + len(payloads)) & 0xFF


@pytest.mark.parametrize(("size", "parts"), [(MAX_PART - 1, 1), (MAX_PART, 2), (MAX_PART + 1, 2), (2 * MAX_PART, 3)])
def test_16_mb_continue(size: int, parts: int) -> None:
    """A part of 16 MB is followed by another, empty if need be."""
    packet = frame(bytes(size), 255)

    assert len(packet) == size + 4 * parts
    assert packet[3] == 255
    if parts > 1:
        assert packet[:4] == b"\xff\xff\xff\xff"
        assert packet[4 + MAX_PART + 3] == 0
