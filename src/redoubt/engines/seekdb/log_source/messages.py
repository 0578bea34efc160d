"""The messages of `fetch_log`, in the encoding of Protocol Buffers. Pure.

The kernel's descriptor has these fields (`standbyservice.proto`, package `standbyservice`):

    FetchLogReq { 1: uint64 start_lsn, 2: uint64 max_bytes }
    FetchLogRes { 1: bytes buf, 2: uint64 size, 3: uint64 source_lsn, 4: uint64 end_scn }

An answer is a stream of FetchLogRes, with exactly one group in each, and one of size 0 at the end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10
_U64 = 2**64 - 1
_PREFIX = struct.Struct(">BI")
"""What gRPC puts before each message: not compressed, and the length."""
PREFIX_SIZE = _PREFIX.size


class MessageError(ValueError):
    """Bytes that are no message; the text says why."""


@dataclass(frozen=True)
class FetchLog:
    """A request for log from `start_lsn` on, some `max_bytes` of it."""

    start_lsn: int
    max_bytes: int


def decode_request(body: bytes) -> FetchLog:
    """The request in the body of a call: one message with its prefix. Raises MessageError."""
    if len(body) < PREFIX_SIZE:
        raise MessageError("the request is empty")
    is_compressed, size = _PREFIX.unpack_from(body)
    if is_compressed or size != len(body) - PREFIX_SIZE:
        raise MessageError("the request is not one message without compression")
    fields = dict(_numbers(body[PREFIX_SIZE:]))
    return FetchLog(fields.get(1, 0), fields.get(2, 0))


def encode_answer(group: bytes | memoryview, lsn: int, scn: int) -> bytes:
    """One message of the answer, with its prefix: a group at `lsn`, or, if it is empty, the end of the log."""
    tail = b""
    if group:
        tail = b"\x10" + _varint(len(group)) + b"\x18" + _varint(lsn)
    tail += b"\x20" + _varint(scn)
    head = b"\x0a" + _varint(len(group)) if group else b""
    return b"".join((_PREFIX.pack(0, len(head) + len(group) + len(tail)), head, group, tail))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _numbers(message: bytes) -> list[tuple[int, int]]:
    """The number fields of a message; others are passed over, as Protocol Buffers want it. Raises MessageError."""
    found, at = list[tuple[int, int]](), 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            found.append((number, value))
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
            at += size
        elif kind in {_FIXED64, _FIXED32}:
            at += 8 if kind == _FIXED64 else 4
        else:
            raise MessageError(f"the request has a field of the unknown kind {kind}")
        if number == 0 or at > len(message):
            raise MessageError("the request ends within a field")
    return found


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(message[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value & _U64, at + index + 1
    raise MessageError("the request ends within a number")
