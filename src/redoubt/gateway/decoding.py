"""Decodes the engine's packets that answer the gateway's own statements."""

from __future__ import annotations

from redoubt.gateway.packets import Payload
from redoubt.gateway.protocol import Marker
from redoubt.sql.answers import Column, ColumnType, Ok
from redoubt.sql.errors import SqlError

_UNSIGNED = 0x20
_INTEGERS = {0x01, 0x02, 0x03, 0x08, 0x09, 0x0D}  # TINY, SHORT, LONG, LONGLONG, INT24, YEAR
_LONGLONG = 0x08
_BYTES_PER_CHARACTER = 4


def decode_ok(data: bytes) -> tuple[Ok, int]:
    """Decode an OK into the answer and the status flags."""
    payload = Payload(data)
    payload.take(1)
    affected_rows = payload.lenenc_int()
    payload.lenenc_int()
    status = payload.integer(2)
    return Ok(affected_rows, payload.integer(2)), status


def decode_error(data: bytes) -> SqlError:
    """Decode an ERR."""
    payload = Payload(data)
    payload.take(1)
    code = payload.integer(2)
    sqlstate = "HY000"
    if payload.remaining and payload.peek() == ord("#"):
        payload.take(1)
        sqlstate = payload.take(5).decode("latin-1")
    return SqlError(code, sqlstate, payload.rest().decode("utf-8", "replace"))


def decode_end_status(data: bytes, *, deprecate_eof: bool) -> int:
    """Return the status flags of the packet that ends rows."""
    if deprecate_eof:
        return decode_ok(data)[1]
    payload = Payload(data)
    payload.take(3)
    return payload.integer(2)


def decode_column(data: bytes) -> Column:
    """Decode a column's definition. Integers that fit a signed 64-bit integer stay integers; other types are text."""
    payload = Payload(data)
    for _ in range(4):
        payload.lenenc_bytes()
    name = payload.lenenc_bytes().decode("utf-8", "surrogateescape")
    payload.lenenc_bytes()
    payload.lenenc_int()
    payload.take(2)
    length = payload.integer(4)
    kind = payload.integer(1)
    unsigned = payload.integer(2) & _UNSIGNED
    if kind in _INTEGERS and not (kind == _LONGLONG and unsigned):
        return Column(name, ColumnType.LONGLONG, length)
    return Column(name, ColumnType.VAR_STRING, length // _BYTES_PER_CHARACTER)


def decode_row(data: bytes, width: int) -> tuple[str | None, ...]:
    """Decode a row of the text protocol. The engine knows no character set but utf8mb4."""
    payload = Payload(data)
    values: list[str | None] = []
    for _ in range(width):
        if payload.peek() == Marker.NULL:
            payload.take(1)
            values.append(None)
        else:
            values.append(payload.lenenc_bytes().decode("utf-8", "surrogateescape"))
    return tuple(values)
