"""Packets and the values in them: pure functions between Python values and bytes."""

from __future__ import annotations

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.protocol import MAX_PART

_TWO_BYTES, _THREE_BYTES, _EIGHT_BYTES = 0xFC, 0xFD, 0xFE
_ONE_BYTE_BELOW = 0xFB


def lenenc_int(value: int) -> bytes:
    """Encode a length-encoded integer of up to 64 bits."""
    if value < _ONE_BYTE_BELOW:
        return bytes((value,))
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_bytes(value: bytes) -> bytes:
    """Encode a length-encoded string."""
    return lenenc_int(len(value)) + value


class PacketBuilder:
    """Frames payloads, one after the other, into packets with running sequence numbers."""

    def __init__(self, sequence: int = 0) -> None:
        self.data = bytearray()
        self.sequence = sequence & 0xFF

    def add(self, payload: bytes) -> PacketBuilder:
        """Append a payload; a payload of 16 MB or more is cut into parts, the last of which is short."""
        for start in range(0, len(payload) + 1, MAX_PART):
            part = payload[start : start + MAX_PART]
            self.data += len(part).to_bytes(3, "little")
            self.data.append(self.sequence)
            self.data += part
            self.sequence = (self.sequence + 1) & 0xFF
        return self


def frame(payload: bytes, sequence: int) -> bytearray:
    """Return one payload as a packet (or its parts)."""
    return PacketBuilder(sequence).add(payload).data


class Payload:
    """Reads a payload from its beginning; reading past the end raises ProtocolError."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def peek(self) -> int:
        """Return the next byte without reading it."""
        if not self.remaining:
            raise ProtocolError("the packet is too short")
        return self._data[self._at]

    def take(self, size: int) -> bytes:
        """Read `size` bytes."""
        if size > self.remaining:
            raise ProtocolError("the packet is too short")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        """Read the rest."""
        return self.take(self.remaining)

    def integer(self, size: int) -> int:
        """Read an unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def lenenc_int(self) -> int:
        """Read a length-encoded integer."""
        first = self.integer(1)
        if first < _ONE_BYTE_BELOW:
            return first
        size = {_TWO_BYTES: 2, _THREE_BYTES: 3, _EIGHT_BYTES: 8}.get(first)
        if size is None:
            raise ProtocolError("the packet has an invalid length-encoded integer")
        return self.integer(size)

    def lenenc_bytes(self) -> bytes:
        """Read a length-encoded string."""
        return self.take(self.lenenc_int())

    def until_nul(self, *, or_end: bool = False) -> bytes:
        """Read a NUL-terminated string and its NUL; with `or_end` the packet's end may stand for the NUL."""
        end = self._data.find(b"\0", self._at)
        if end < 0 and or_end:
            return self.rest()
        if end < 0:
            raise ProtocolError("the packet has a string without a terminating NUL")
        value = self.take(end - self._at)
        self._at += 1
        return value
