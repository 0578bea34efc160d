"""Answers into packets and back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.gateway.decoding import decode_column, decode_end_status, decode_error, decode_ok, decode_row
from redoubt.gateway.encoding import (
    add_answer,
    binary_row,
    column_payload,
    end_payload,
    error_payload,
    ok_payload,
    text_row,
)
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.packets import PacketBuilder
from redoubt.gateway.replies import Reply
from redoubt.gateway.shapes import Shape
from redoubt.sql.answers import Answer, Column, ColumnType, Ok, Rows
from redoubt.sql.errors import SqlError

statuses = st.integers(0, 0xFFFF)
texts = st.text(max_size=400)
columns = st.builds(Column, texts, st.sampled_from(ColumnType), st.integers(0, 2**30 - 1))
rows_of_text = st.lists(st.none() | texts, min_size=1, max_size=12)


@given(st.integers(0, 2**64 - 1), st.integers(0, 0xFFFF), statuses)
def test_an_ok_comes_back(affected: int, warnings: int, status: int) -> None:
    """Affected rows, warnings and status flags survive."""
    ok = Ok(affected, warnings)

    assert decode_ok(ok_payload(ok, status)) == (ok, status)


@given(st.integers(0, 0xFFFF), st.text("0123456789HY", min_size=5, max_size=5), st.text(max_size=1000))
def test_an_error_comes_back(code: int, sqlstate: str, message: str) -> None:
    """Code, SQLSTATE and message survive, whatever the message."""
    error = decode_error(error_payload(SqlError(code, sqlstate, message)))

    assert (error.code, error.sqlstate, error.message) == (code, sqlstate, message)


def test_an_error_without_sqlstate() -> None:
    """A client from before 4.1 gets none, and an engine may send none; both are read."""
    error = decode_error(error_payload(SqlError(1251, "08004", "too old"), with_sqlstate=False))

    assert (error.code, error.sqlstate, error.message) == (1251, "HY000", "too old")
    assert decode_error(b"\xff\1\0").message == ""


@given(statuses, st.booleans())
def test_an_end_comes_back(status: int, deprecate_eof: bool) -> None:  # noqa: FBT001
    """The status flags survive in both forms of an end."""
    payload = end_payload(status, deprecate_eof=deprecate_eof)

    assert decode_end_status(payload, deprecate_eof=deprecate_eof) == status


@given(columns)
def test_a_column_comes_back(column: Column) -> None:
    """What a handler gets from `query` and hands back has the same names, types and lengths."""
    assert decode_column(column_payload(column)) == column


@given(rows_of_text)
def test_a_text_row_comes_back(row: list[str | None]) -> None:
    """NULL, empty and any other text survive."""
    assert decode_row(text_row(tuple(row)), len(row)) == tuple(row)


def test_undecodable_bytes_pass_both_ways() -> None:
    """Bytes that are no UTF-8 travel through a handler unharmed."""
    assert decode_row(b"\2\xff\xfe", 1) == ("\udcff\udcfe",)
    assert text_row(("\udcff\udcfe",)) == b"\2\xff\xfe"


@given(st.binary(max_size=100))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    """A broken engine raises nothing but a ProtocolError."""
    decoders = (
        decode_ok,
        decode_error,
        decode_column,
        lambda payload: decode_end_status(payload, deprecate_eof=False),
        lambda payload: decode_end_status(payload, deprecate_eof=True),
        lambda payload: decode_row(payload, 3),
    )
    for decode in decoders:
        with contextlib.suppress(ProtocolError):
            decode(data)


def test_a_binary_row() -> None:
    """NULLs are bits counted from the third; numbers are eight bytes, texts have a length."""
    many = (*(Column(str(number)) for number in range(7)), Column("n", ColumnType.LONGLONG))
    row = (None, "a", None, "b", None, "", None, -2)

    assert binary_row(row, many) == b"\0\x54\1\1a\1b\0\xfe\xff\xff\xff\xff\xff\xff\xff"


def test_a_row_of_another_width_is_a_bug() -> None:
    """A handler that answers fewer values than columns is found out, not passed on."""
    with pytest.raises(ValueError, match="zip"):
        binary_row(("a",), ())


answers = st.one_of(
    st.builds(Ok, st.integers(0, 2**32), st.integers(0, 9)),
    st.integers(1, 5).flatmap(
        lambda width: st.builds(
            Rows,
            st.tuples(*[columns.map(lambda column: Column(column.name)) for _ in range(width)]),
            st.lists(st.tuples(*[st.none() | texts for _ in range(width)]), max_size=8),
        )
    ),
)


@given(answers, st.booleans(), st.booleans(), st.integers(0, 255))
def test_answers_are_whole_replies(
    answer: Answer,
    deprecate_eof: bool,  # noqa: FBT001
    binary: bool,  # noqa: FBT001
    sequence: int,
) -> None:
    """What is encoded here is what the reply machine recognizes: one whole reply, with nothing left."""
    packets = PacketBuilder(sequence)
    add_answer(packets, answer, 2, deprecate_eof=deprecate_eof, binary=binary)
    reply = Reply(Shape.EXECUTION if binary else Shape.RESULTS, deprecate_eof=deprecate_eof, sequence=sequence)

    assert reply.feed(packets.data) == len(packets.data)
    assert reply.done
    assert not reply.failed
    assert reply.status == 2
    assert reply.sequence == packets.sequence
