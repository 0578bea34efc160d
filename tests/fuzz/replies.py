"""Targets: what an engine answers. However it is cut up, the same goes to the client; where it ends, the model says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redoubt.gateway.decoding import decode_column, decode_end_status, decode_error, decode_ok, decode_row
from redoubt.gateway.encoding import error_payload, ok_payload
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.handshake import decode_greeting, encode_greeting
from redoubt.gateway.packets import lenenc_int
from redoubt.gateway.replies import Reply
from redoubt.gateway.shapes import Shape
from tests.gateway import test_replies as cases
from tests.gateway.test_handshake import RECORDED_GREETING

from .palf import in_general
from .reply_model import HEAD, LONGEST_REQUEST, follow, is_named
from .target import Target

_SHAPES = tuple(Shape)
_SETTINGS = 5


class NamedFiles:
    """The files that the client's command names, as the model has them."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, bytes) and is_named(name)


@dataclass(frozen=True)
class Relayed:
    """What came of feeding a reply."""

    passed: bytes
    done: bool
    failed: bool
    status: int | None
    sequence: int
    error: str


def check_reply(data: bytes) -> str:
    """Fed whole, in pieces and byte by byte, a reply gives the same; only numbers and one flag are changed in it.

    Input: shape and whether EOFs are deprecated (1), first sequence number (1), shift (1), whether more follow (1),
    the sizes of the pieces (1), the engine's bytes.
    """
    if len(data) < _SETTINGS:
        return "too short"
    stream = data[_SETTINGS:]
    whole = _relay(data, [len(stream) + 1])
    for sizes in ([1 + (data[4] * 31 + turn * 17) % 97 for turn in range(40)], [1], [3, 23, 4, 27]):
        cut = _relay(data, sizes)
        assert (cut.error, cut.error or cut) == (whole.error, whole.error or whole)
    shape = _SHAPES[data[0] % len(_SHAPES)]
    model = follow(shape, stream, deprecate_eof=bool(data[0] & 0x80))
    assert model.malformed == bool(whole.error), (model, whole)
    if whole.error:
        return f"{shape.name} {whole.error}"
    assert (whole.done, whole.status, len(whole.passed)) == (model.done, model.status, model.end), (model, whole)
    _check_changes(data, whole)
    return f"{shape.name} {'done' if whole.done else 'goes on'} {whole.failed} {bool(whole.status)} {model.files > 0}"


def _relay(data: bytes, sizes: list[int]) -> Relayed:
    """Feed a reply as a relay does, with files of the client's where they are wanted."""
    reply = Reply(
        _SHAPES[data[0] % len(_SHAPES)],
        deprecate_eof=bool(data[0] & 0x80),
        sequence=data[1],
        shift=data[2],
        more_follow=bool(data[3] & 1),
        named_files=NamedFiles,
    )
    passed, held, error = bytearray(), bytearray(), ""
    at = turn = 0
    stream = data[_SETTINGS:]
    try:
        while at < len(stream) and not reply.done:
            held += stream[at : at + sizes[turn % len(sizes)]]
            at += sizes[turn % len(sizes)]
            turn += 1
            _feed(reply, held, passed)
    except ProtocolError as broken:
        error = str(broken)
    return Relayed(bytes(passed), reply.done, reply.failed, reply.status, reply.sequence, error)


def _feed(reply: Reply, held: bytearray, passed: bytearray) -> None:
    while True:
        used = reply.feed(held)
        passed += held[:used]
        del held[:used]
        most = LONGEST_REQUEST if held[4:5] == b"\xfb" else HEAD
        assert reply.done or reply.wants_file or len(held) < 4 + most
        if not reply.wants_file:
            return
        reply.file_sent(7)


def _check_changes(data: bytes, whole: Relayed) -> None:
    """Sequence numbers are shifted; the last status flags say that more results follow, if they do."""
    before = bytearray(data[_SETTINGS : _SETTINGS + len(whole.passed)])
    at = 0
    while at + 4 <= len(before):
        before[at + 3] = (before[at + 3] + data[2]) & 0xFF
        at += 4 + int.from_bytes(before[at : at + 3], "little")
    changes = [(old, new) for old, new in zip(before, whole.passed, strict=True) if old != new]
    assert len(changes) <= 1
    assert all(new == old | 8 for old, new in changes)
    assert not changes or data[3] & 1


def seeds_of_replies() -> Iterator[tuple[str, bytes]]:
    """The replies of the gateway's own tests, recorded ones among them."""
    for number, (name, case) in enumerate(cases.CASES.items()):
        shape = _SHAPES.index(case.shape) | (0x80 if case.deprecate_eof else 0)
        if case.deprecate_eof:  # the shape is told by the rest of a division
            shape = next(value for value in range(128, 256) if value % 5 == _SHAPES.index(case.shape))
        stream = cases.packets_of(case)
        if len(stream) < 10_000:
            yield name.replace(", ", "-").replace(" ", "-"), bytes((shape, 1, number, number & 1, 3)) + stream
    yield "recorded-results", bytes((1, 1, 0, 0, 9)) + cases.RECORDED_RESULTS
    yield "recorded-prepared", bytes((4, 1, 3, 1, 9)) + cases.RECORDED_PREPARED
    yield "local-file", bytes((1, 1, 3, 1, 9)) + b"\3\0\0\1\xfba\0" + bytes((7, 0, 0, 9)) + cases.OK[:7]


def check_decoding(data: bytes) -> str:
    """The packets that the gateway reads itself decode to values or are a ProtocolError; what is said, comes back.

    Input: which packet (1), how many columns (1), the payload.
    """
    if len(data) < 2:
        return "too short"
    decoders: tuple[Callable[[bytes], object], ...] = (
        _ok_comes_back,
        _error_comes_back,
        decode_column,
        lambda payload: decode_row(payload, data[1]),
        lambda payload: decode_end_status(payload, deprecate_eof=bool(data[1] & 1)),
        _greeting_comes_back,
    )
    which = data[0] % len(decoders)
    try:
        found = decoders[which](data[2:])
    except ProtocolError as error:
        return f"{which} {in_general(str(error))}"
    return f"{which} {type(found).__name__}"


def _ok_comes_back(payload: bytes) -> object:
    ok, status = decode_ok(payload)
    assert decode_ok(ok_payload(ok, status)) == (ok, status)
    assert payload[1:].startswith(lenenc_int(ok.affected_rows)) or payload[1] >= 0xFC
    return ok


def _error_comes_back(payload: bytes) -> object:
    error = decode_error(payload)
    if error.sqlstate.isascii() and len(error.message.encode()) < 4096:
        again = decode_error(error_payload(error))
        assert (again.code, again.sqlstate, again.message) == (error.code, error.sqlstate, error.message)
    return error


def _greeting_comes_back(payload: bytes) -> object:
    greeting = decode_greeting(payload)
    assert decode_greeting(encode_greeting(greeting)) == greeting
    return greeting


def seeds_of_decoding() -> Iterator[tuple[str, bytes]]:
    """One of each packet."""
    yield "ok", b"\0\0" + cases.OK
    yield "error", b"\1\0" + cases.ERROR
    yield "column", b"\2\0" + cases.COLUMN
    yield "row", b"\3\3" + b"\xfb\1a\xfc\2\0bc"
    yield "eof", b"\4\0" + cases.EOF
    yield "eof-ok", b"\4\1" + cases.EOF_OK
    yield "greeting", b"\5\0" + RECORDED_GREETING


_WORDS = (cases.OK, cases.EOF, cases.EOF_OK, cases.MORE_EOF, b"\5\0\0\1", b"\xff\xff\xff\1", b"\xfe", b"\xfb", b"\xff")
TARGETS = (
    Target("gateway-reply", check_reply, seeds_of_replies, _WORDS, longest=4096, executions=300),
    Target("gateway-decoding", check_decoding, seeds_of_decoding, _WORDS, longest=4096, executions=600),
)
