"""Encodes answers as packets: OK, error and result set packets, with text or binary rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.gateway.packets import PacketBuilder, lenenc_bytes, lenenc_int
from redoubt.gateway.protocol import BINARY, UTF8MB4, Marker
from redoubt.sql.answers import Column, ColumnType, Ok

if TYPE_CHECKING:
    from redoubt.sql.answers import Answer, Rows
    from redoubt.sql.errors import SqlError

Value = str | int | None

_NULL = bytes((Marker.NULL,))
_BYTES_PER_CHARACTER = 4
_NUMBER_FLAGS = 0x8080  # NUM, BINARY
_ERROR_TEXT_LIMIT = 4096


def encode_text(text: str) -> bytes:
    """Encode a text for the client; undecodable input bytes are sent back unchanged."""
    return text.encode("utf-8", "surrogateescape")


def ok_payload(ok: Ok, status: int) -> bytes:
    """Return an OK; the last insert id is 0, the information empty."""
    counts = lenenc_int(ok.affected_rows) + b"\0"
    return b"\x00" + counts + status.to_bytes(2, "little") + ok.warnings.to_bytes(2, "little")


def error_payload(error: SqlError, *, with_sqlstate: bool = True) -> bytes:
    """Return an ERR. Clients older than 4.1 get no SQLSTATE."""
    sqlstate = b"#" + error.sqlstate.encode() if with_sqlstate else b""
    return b"\xff" + error.code.to_bytes(2, "little") + sqlstate + encode_text(error.message)[:_ERROR_TEXT_LIMIT]


def end_payload(status: int, *, deprecate_eof: bool) -> bytes:
    """Return the end of rows: an EOF, or an OK with the marker of an EOF."""
    if deprecate_eof:
        return b"\xfe\0\0" + status.to_bytes(2, "little") + b"\0\0"
    return b"\xfe\0\0" + status.to_bytes(2, "little")


def column_payload(column: Column) -> bytes:
    """Return the definition of a column without a table."""
    if column.type is ColumnType.LONGLONG:
        charset, length, flags = BINARY, column.length, _NUMBER_FLAGS
    else:
        charset, length, flags = UTF8MB4, column.length * _BYTES_PER_CHARACTER, 0
    return b"".join(
        (
            lenenc_bytes(b"def"),
            bytes(3),
            lenenc_bytes(encode_text(column.name)),
            b"\0\x0c",
            charset.to_bytes(2, "little"),
            min(length, 0xFFFFFFFF).to_bytes(4, "little"),
            bytes((column.type,)),
            flags.to_bytes(2, "little"),
            bytes(3),
        )
    )


def text_row(row: tuple[Value, ...]) -> bytes:
    """Return a row of the text protocol."""
    return b"".join(_NULL if value is None else lenenc_bytes(encode_text(str(value))) for value in row)


def binary_row(row: tuple[Value, ...], columns: tuple[Column, ...]) -> bytes:
    """Return a row of the binary protocol, for executions of prepared statements."""
    nulls = bytearray((len(row) + 7 + 2) // 8)
    values = []
    for position, (value, column) in enumerate(zip(row, columns, strict=True), start=2):
        if value is None:
            nulls[position // 8] |= 1 << position % 8
        elif column.type is ColumnType.LONGLONG:
            values.append(int(value).to_bytes(8, "little", signed=True))
        else:
            values.append(lenenc_bytes(encode_text(str(value))))
    return b"\0" + bytes(nulls) + b"".join(values)


class AnswerPackets(PacketBuilder):
    """The packets of Redoubt's own answer, and whether the answer is an error."""

    failed = False

    @classmethod
    def failure(cls, error: SqlError, sequence: int) -> AnswerPackets:
        """Return an error's packet."""
        answer = cls(sequence)
        answer.add(error_payload(error))
        answer.failed = True
        return answer


def add_answer(packets: PacketBuilder, answer: Answer, status: int, *, deprecate_eof: bool, binary: bool) -> None:
    """Append the packets of an answer, each with `status` where the packet has status flags."""
    if isinstance(answer, Ok):
        packets.add(ok_payload(answer, status))
    else:
        _add_rows(packets, answer, status, deprecate_eof=deprecate_eof, binary=binary)


def add_prepared(
    packets: PacketBuilder, statement_id: int, columns: tuple[Column, ...], status: int, *, deprecate_eof: bool
) -> None:
    """Append the answer to the preparation of a statement without parameters."""
    packets.add(b"\0" + statement_id.to_bytes(4, "little") + len(columns).to_bytes(2, "little") + bytes(5))
    if columns:
        _add_columns(packets, columns, status, deprecate_eof=deprecate_eof)


def _add_columns(packets: PacketBuilder, columns: tuple[Column, ...], status: int, *, deprecate_eof: bool) -> None:
    for column in columns:
        packets.add(column_payload(column))
    if not deprecate_eof:
        packets.add(end_payload(status, deprecate_eof=False))


def _add_rows(packets: PacketBuilder, rows: Rows, status: int, *, deprecate_eof: bool, binary: bool) -> None:
    packets.add(lenenc_int(len(rows.columns)))
    _add_columns(packets, rows.columns, status, deprecate_eof=deprecate_eof)
    for row in rows.rows:
        packets.add(binary_row(row, rows.columns) if binary else text_row(row))
    packets.add(end_payload(status, deprecate_eof=deprecate_eof))
