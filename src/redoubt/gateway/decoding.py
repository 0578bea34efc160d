"""Packets into answers: what the engine says to a statement that the gateway itself sends."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.gateway.packets import Payload
from redoubt.gateway.protocol import Marker
from redoubt.sql.answers import Column, ColumnType, Ok
from redoubt.sql.errors import SqlError

_UNSIGNED = 0x20
_INTEGERS = {0x01, 0x02, 0x03, 0x08, 0x09, 0x0D}  # TINY, SHORT, LONG, LONGLONG, INT24, YEAR
_LONGLONG = 0x08
_BYTES_PER_CHARACTER = 4

# Results come in the session's character set, which the column names by one of its collations.
_CODECS = {
    5: "latin-1",
    8: "latin-1",
    28: "gbk",
    47: "latin-1",
    48: "latin-1",
    87: "gbk",
    248: "gb18030",
    249: "gb18030",
}


@dataclass(frozen=True)
class EngineColumn:
    """A column as the engine defines it, and the codec of its values."""

    column: Column
    codec: str


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


def decode_column(data: bytes) -> EngineColumn:
    """Decode a column's definition. Integers stay integers where a signed 64-bit one holds them; the rest is text."""
    payload = Payload(data)
    for _ in range(4):
        payload.lenenc_bytes()
    name = payload.lenenc_bytes().decode("utf-8", "surrogateescape")
    payload.lenenc_bytes()
    payload.lenenc_int()
    charset = payload.integer(2)
    length = payload.integer(4)
    kind = payload.integer(1)
    unsigned = payload.integer(2) & _UNSIGNED
    if kind in _INTEGERS and not (kind == _LONGLONG and unsigned):
        return EngineColumn(Column(name, ColumnType.LONGLONG, length), "utf-8")
    return EngineColumn(
        Column(name, ColumnType.VAR_STRING, length // _BYTES_PER_CHARACTER), _CODECS.get(charset, "utf-8")
    )


def decode_row(data: bytes, columns: list[EngineColumn]) -> tuple[str | None, ...]:
    """Decode a row of the text protocol."""
    payload = Payload(data)
    values: list[str | None] = []
    for column in columns:
        if payload.peek() == Marker.NULL:
            payload.take(1)
            values.append(None)
        else:
            values.append(payload.lenenc_bytes().decode(column.codec, "surrogateescape"))
    return tuple(values)
