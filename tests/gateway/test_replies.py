"""Where replies end, in whatever pieces they arrive."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.gateway.encoding import column_payload, end_payload, error_payload, ok_payload, text_row
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.packets import PacketBuilder, frame
from redoubt.gateway.protocol import MAX_PART, Status
from redoubt.gateway.replies import Reply
from redoubt.gateway.shapes import Shape
from redoubt.sql.answers import Column, ColumnType, Ok
from redoubt.sql.errors import SqlError

ERROR = error_payload(SqlError(1064, "42000", "syntax"))
COLUMN = column_payload(Column("n", ColumnType.LONGLONG))
EOF = end_payload(2, deprecate_eof=False)
EOF_OK = end_payload(2, deprecate_eof=True)
OK = ok_payload(Ok(300, 1), 2)
MORE_OK = ok_payload(Ok(2**40), 2 | Status.MORE_RESULTS)
MORE_EOF = end_payload(2 | Status.MORE_RESULTS, deprecate_eof=False)
CURSOR_EOF = end_payload(2 | Status.CURSOR, deprecate_eof=False)
CURSOR_EOF_OK = end_payload(2 | Status.CURSOR, deprecate_eof=True)
ROW = text_row(("x" * 300,))
LONG_ROW = text_row(("y" * 70_000,))


@dataclass(frozen=True)
class Case:
    """A reply's payloads and what is known of it."""

    shape: Shape
    payloads: tuple[bytes, ...]
    deprecate_eof: bool = False
    failed: bool = False
    status: int | None = 2


CASES = {
    "ok": Case(Shape.SINGLE, (OK,)),
    "error": Case(Shape.SINGLE, (ERROR,), failed=True, status=None),
    "eof": Case(Shape.SINGLE, (EOF,)),
    "statistics": Case(Shape.SINGLE, (b"Uptime: 3",), status=None),
    "session state": Case(Shape.SINGLE, (ok_payload(Ok(), 0x4022) + b"\0" + bytes(300),), status=0x4022),
    "query ok": Case(Shape.RESULTS, (OK,)),
    "query error": Case(Shape.RESULTS, (ERROR,), failed=True, status=None),
    "rows": Case(Shape.RESULTS, (b"\2", COLUMN, COLUMN, EOF, ROW, b"\xfb\xfb", LONG_ROW, ROW, EOF)),
    "rows, no eof": Case(Shape.RESULTS, (b"\1", COLUMN, ROW, ROW, EOF_OK), deprecate_eof=True),
    "no rows": Case(Shape.RESULTS, (b"\xfc\1\0", COLUMN, EOF, EOF)),
    "no rows, no eof": Case(Shape.RESULTS, (b"\1", COLUMN, EOF_OK), deprecate_eof=True),
    "rows, then error": Case(Shape.RESULTS, (b"\1", COLUMN, EOF, ROW, ERROR), failed=True, status=None),
    "columns, then error": Case(Shape.RESULTS, (b"\2", COLUMN, ERROR), failed=True, status=None),
    "empty row": Case(Shape.RESULTS, (b"\1", COLUMN, EOF, b"", ROW, b"", EOF)),
    "several results": Case(Shape.RESULTS, (MORE_OK, b"\1", COLUMN, EOF, ROW, MORE_EOF, b"\1", COLUMN, EOF, ROW, EOF)),
    "several, then error": Case(Shape.RESULTS, (MORE_OK, ERROR), failed=True, status=2 | Status.MORE_RESULTS),
    "execution": Case(Shape.EXECUTION, (b"\1", COLUMN, EOF, b"\0\0" + bytes(8), EOF)),
    "cursor": Case(Shape.EXECUTION, (b"\1", COLUMN, CURSOR_EOF), status=2 | Status.CURSOR),
    "cursor, no eof": Case(
        Shape.EXECUTION, (b"\1", COLUMN, CURSOR_EOF_OK), deprecate_eof=True, status=2 | Status.CURSOR
    ),
    "fetch": Case(Shape.ROWS, (ROW, ROW, EOF)),
    "fetch, nothing left": Case(Shape.ROWS, (EOF,)),
    "fetch, marked": Case(Shape.ROWS, (ROW, MORE_EOF), status=2 | Status.MORE_RESULTS),
    "fetch error": Case(Shape.ROWS, (ERROR,), failed=True, status=None),
    "prepared": Case(Shape.PREPARED, (b"\0\1\0\0\0\2\0\1\0\0\0\0", COLUMN, EOF, COLUMN, COLUMN, EOF)),
    "prepared, columns only": Case(Shape.PREPARED, (b"\0\1\0\0\0\1\0\0\0\0\0\0", COLUMN, EOF)),
    "prepared, nothing": Case(Shape.PREPARED, (b"\0\1\0\0\0\0\0\0\0\0\0\0",), status=None),
    "prepared, no eof": Case(
        Shape.PREPARED, (b"\0\1\0\0\0\1\0\2\0\0\0\0", COLUMN, COLUMN, COLUMN), deprecate_eof=True, status=None
    ),
    "not prepared": Case(Shape.PREPARED, (ERROR,), failed=True, status=None),
}

# As the engine sent them: `select 1; select 2` in a transaction, `begin`, and the preparation of `select ?, 2`.
RECORDED_RESULTS = (
    b"\1\0\0\1\1\x17\0\0\2\3def\0\0\0\0011\0\x0c?\0\x14\0\0\0\x08\x81\0\0\0\0\5\0\0\3\xfe\0\0\x0b\0\2\0\0\4\0011"
    b"\5\0\0\5\xfe\0\0\x0b\0\1\0\0\6\1\x17\0\0\7\3def\0\0\0\0012\0\x0c?\0\x14\0\0\0\x08\x81\0\0\0\0"
    b"\5\0\0\x08\xfe\0\0\3\0\2\0\0\t\0012\5\0\0\n\xfe\0\0\3\0"
)
RECORDED_BEGIN = b"(\0\0\1\0\0\0#@\0\0\0\x1f\0\x19\x15_nlj_batching_enabled\2ON\2\2\0011"
RECORDED_PREPARED = (
    b"\x0c\0\0\1\0\1\0\0\0\2\0\1\0\0\0\0\x17\0\0\2\3def\0\0\0\1?\0\x0c-\0\0\0\0\0\x08\0\0\0\0\0\5\0\0\3\xfe\0\0\3\0"
    b"\x17\0\0\4\3def\0\0\0\1?\0\x0c?\0\xff\xff\3\0\xfd\x80\0\0\0\0\x17\0\0\5\3def\0\0\0\0012\0\x0c?\0\x14\0\0\0"
    b"\x08\x81\0\0\0\0\5\0\0\6\xfe\0\0\3\0"
)

chunk_sizes = st.lists(st.integers(1, 400), min_size=1, max_size=30)


def feed(reply: Reply, data: bytes, sizes: list[int]) -> bytes:
    """Feed a reply in chunks of these sizes, over and over, as a relay does; return what it passed on."""
    passed = bytearray()
    held = bytearray()
    at = turn = 0
    while at < len(data):
        assert not reply.done
        size = sizes[turn % len(sizes)]
        held += data[at : at + size]
        at += size
        turn += 1
        used = reply.feed(held)
        passed += held[:used]
        del held[:used]
    assert not held
    return bytes(passed)


def packets_of(case: Case, sequence: int = 1) -> bytes:
    """Return a case's packets."""
    packets = PacketBuilder(sequence)
    for payload in case.payloads:
        packets.add(payload)
    return bytes(packets.data)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@given(sizes=chunk_sizes)
def test_replies_end_where_they_end(case: Case, sizes: list[int]) -> None:
    """However a reply is cut up, it is done with its last byte, not before, and passes unchanged."""
    reply = Reply(case.shape, deprecate_eof=case.deprecate_eof)
    data = packets_of(case)

    assert feed(reply, data, sizes) == data
    assert reply.done
    assert reply.failed == case.failed
    assert reply.status == case.status
    assert reply.sequence == 1 + len(case.payloads)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@given(sizes=chunk_sizes, shift=st.integers(1, 255))
def test_replies_become_parts_of_longer_ones(case: Case, sizes: list[int], shift: int) -> None:
    """With a shift, only the sequence numbers change; with more to follow, the last status flags do."""
    shifted = packets_of(case, 1 + shift)
    reply = Reply(case.shape, deprecate_eof=case.deprecate_eof, shift=shift)
    assert feed(reply, packets_of(case), sizes) == shifted
    assert reply.sequence == (1 + len(case.payloads) + shift) & 0xFF

    reply = Reply(case.shape, deprecate_eof=case.deprecate_eof, shift=shift, more_follow=True)
    changed = feed(reply, packets_of(case), sizes)
    differences = [(a, b) for a, b in zip(changed, shifted, strict=True) if a != b]
    assert all(a == b | Status.MORE_RESULTS for a, b in differences)
    if case.shape is Shape.RESULTS:
        assert len(differences) == (0 if case.failed else 1)


@pytest.mark.parametrize(
    ("recorded", "shape", "status", "sequence"),
    [
        (RECORDED_RESULTS, Shape.RESULTS, 3, 11),
        (RECORDED_BEGIN, Shape.RESULTS, 0x4023, 2),
        (RECORDED_BEGIN, Shape.SINGLE, 0x4023, 2),
        (RECORDED_PREPARED, Shape.PREPARED, 3, 7),
    ],
)
@given(sizes=chunk_sizes)
def test_replies_of_the_engine(recorded: bytes, shape: Shape, status: int, sequence: int, sizes: list[int]) -> None:
    """What an engine really sent is understood like what this project builds itself."""
    reply = Reply(shape)

    assert feed(reply, recorded, sizes) == recorded
    assert (reply.done, reply.failed, reply.status, reply.sequence) == (True, False, status, sequence)


def test_a_local_file_is_the_clients_turn() -> None:
    """A request for a file stops the machine until the file is sent; the reply goes on with the next number."""
    reply = Reply(Shape.RESULTS, named_files=lambda: {b"/a/very/long/name/of/a/file/somewhere"})
    request = frame(b"\xfb/a/very/long/name/of/a/file/somewhere", 1)

    assert reply.feed(request[:10]) == 0
    assert reply.feed(request[:30]) == 0
    assert not reply.wants_file
    assert reply.feed(request) == len(request)
    assert reply.wants_file
    assert reply.feed(frame(OK, 9)) == 0
    reply.file_sent(300)
    assert reply.sequence == 301 & 0xFF
    assert not reply.wants_file
    assert reply.feed(frame(OK, 45)) == len(OK) + 4
    assert reply.done


def test_what_follows_a_reply_is_not_passed() -> None:
    """Bytes behind the end are no part of the reply."""
    reply = Reply(Shape.SINGLE)

    assert reply.feed(frame(OK, 1) + frame(OK, 1)) == len(OK) + 4
    assert reply.done


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_rows_of_16_mb_are_not_ends(deprecate_eof: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A value of 16 MB begins with the byte of an EOF, and its continuations may begin with any."""
    row = b"\xfe" + (MAX_PART + 5).to_bytes(8, "little") + b"\xff" * (MAX_PART + 5)
    packets = PacketBuilder(1)
    for payload in (b"\1", COLUMN, *(() if deprecate_eof else (EOF,)), row, row):
        packets.add(payload)
    packets.add(EOF_OK if deprecate_eof else EOF)
    reply = Reply(Shape.RESULTS, deprecate_eof=deprecate_eof)

    assert feed(reply, bytes(packets.data), [1_000_003]) == packets.data
    assert reply.done
    assert not reply.failed


def test_a_boundary_is_known() -> None:
    """An error packet of our own may only follow a whole packet."""
    reply = Reply(Shape.RESULTS)
    assert reply.at_boundary
    reply.feed(frame(b"\1", 1) + frame(COLUMN, 2) + frame(EOF, 3) + frame(LONG_ROW, 4)[:1000])
    assert not reply.at_boundary
    reply.feed(frame(LONG_ROW, 4)[1000:])
    assert reply.at_boundary
    assert reply.sequence == 5


@pytest.mark.parametrize(
    ("shape", "payloads"),
    [
        (Shape.SINGLE, (b"",)),
        (Shape.RESULTS, (b"",)),
        (Shape.PREPARED, (b"",)),
        (Shape.SINGLE, (b"\0",)),
        (Shape.SINGLE, (b"\0\xfe\0",)),
        (Shape.SINGLE, (b"\0\0\0\2",)),
        (Shape.SINGLE, (b"\xfe\0\0",)),
        (Shape.RESULTS, (b"\xfc",)),
        (Shape.RESULTS, (b"\xfc\0\0",)),
        (Shape.RESULTS, (b"\1", b"")),
        (Shape.RESULTS, (b"\1", COLUMN, ROW)),
        (Shape.RESULTS, (b"\1", COLUMN, b"\xfe")),
        (Shape.ROWS, (b"\xfe",)),
        (Shape.PREPARED, (b"\0\1\0\0",)),
        (Shape.PREPARED, (b"\xfbnamed",)),
        (Shape.SINGLE, (b"\xfbnamed",)),
        (Shape.RESULTS, (b"\xfbunnamed",)),
        (Shape.RESULTS, (b"\xfbnamed\0",)),
        (Shape.RESULTS, (b"\xfb" + bytes(64 * 1024),)),
        (Shape.EXECUTION, (b"\xfb",)),
    ],
)
def test_what_is_no_reply(shape: Shape, payloads: tuple[bytes, ...]) -> None:
    """An engine that sends nonsense is told apart from one that sends something new."""
    reply = Reply(shape, named_files=lambda: {b"named"})
    with pytest.raises(ProtocolError):
        reply.feed(bytearray(packets_of(Case(shape, payloads))))


@given(
    st.sampled_from(Shape),
    st.booleans(),
    st.lists(st.binary(max_size=40)),
    st.integers(0, 3),
)
def test_any_bytes_are_a_reply_or_refused(
    shape: Shape,
    deprecate_eof: bool,  # noqa: FBT001 - drawn
    chunks: list[bytes],
    shift: int,
) -> None:
    """Nothing but a ProtocolError comes out, and never more is passed on than came in."""
    reply = Reply(shape, deprecate_eof=deprecate_eof, shift=shift)
    held = bytearray()
    with contextlib.suppress(ProtocolError):
        for chunk in chunks:
            held += chunk
            used = reply.feed(held)
            assert 0 <= used <= len(held)
            del held[:used]
