"""Replies once more, as the protocol's description reads: which packets belong to one, told from whole packets."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from redoubt.gateway.shapes import Shape

HEAD = 23
LONGEST_REQUEST = 64 * 1024
_SIZES = {0xFC: 3, 0xFD: 4, 0xFE: 9}
_MORE, _CURSOR = 8, 0x40
_FILE = "file"

Packets = Generator[str | None, bytes, None]


class MalformedError(Exception):
    """The engine said what the protocol has not."""


def is_named(name: bytes) -> bool:
    """Whether the client's command names a file, as the fuzzer has it."""
    return not name.startswith(b"?")


@dataclass
class Followed:
    """How far a reply was followed: where its last packet ends, whether it is complete, and its last status."""

    end: int = 0
    done: bool = False
    status: int | None = None
    files: int = 0
    between_results: bool = False
    malformed: bool = False


def follow(shape: Shape, stream: bytes, *, deprecate_eof: bool) -> Followed:
    """Follow a reply through all of the packets in `stream`; of the last one, 23 bytes or a file's name are enough."""
    found = Followed()
    steps = _STEPS[shape](found, deprecate_eof)
    next(steps)
    at = 0
    while not found.done and len(stream) - at >= 4:
        length = int.from_bytes(stream[at : at + 3], "little")
        payload = stream[at + 4 : at + 4 + length]
        asks = found.between_results and payload[:1] == b"\xfb"
        if len(payload) < min(length, LONGEST_REQUEST if asks else HEAD):
            break
        try:
            found.files += steps.send(payload) == _FILE
        except StopIteration:
            found.done = len(payload) == length
            found.end = at + 4 + len(payload)
            break
        except MalformedError:
            found.malformed = True
            break
        at += 4 + length
        found.end = min(at, len(stream))
        if len(payload) < length:
            break
    return found


def _single(found: Followed, deprecate_eof: bool) -> Packets:  # noqa: FBT001 - one signature for all
    payload = yield None
    if _mark(payload) == 0:
        found.status = _ok_status(payload)
    elif _mark(payload) == 0xFE and len(payload) < 9:
        found.status = _status(payload, 3)
    elif _mark(payload) == 0xFB:
        raise MalformedError


def _rows(found: Followed, deprecate_eof: bool) -> Packets:  # noqa: FBT001
    while True:
        payload = yield None
        if payload[:1] == b"\xff":
            return
        if payload[:1] == b"\xfe" and (deprecate_eof or len(payload) < 9):
            found.status = _ok_status(payload) if deprecate_eof else _status(payload, 3)
            return


def _results(found: Followed, deprecate_eof: bool, *, cursors: bool = False) -> Packets:  # noqa: FBT001
    say: str | None = None
    while True:
        found.between_results = True
        payload = yield say
        found.between_results, say = False, None
        if _mark(payload) == 0xFF:
            return
        if payload[0] == 0xFB:
            if len(payload) > LONGEST_REQUEST or not is_named(payload[1:]):
                raise MalformedError
            say = _FILE
            continue
        if payload[0] == 0:
            found.status = _ok_status(payload)
        elif (yield from _result_set(found, payload, deprecate_eof=deprecate_eof, cursors=cursors)):
            return
        if not found.status or not found.status & _MORE:
            return


def _result_set(
    found: Followed, head: bytes, *, deprecate_eof: bool, cursors: bool
) -> Generator[str | None, bytes, bool]:
    """Columns and rows; tells whether an error ended it."""
    count = _lenenc(head)
    if not count:
        raise MalformedError
    for _ in range(count):
        if _mark((yield None)) == 0xFF:
            return True
    if not deprecate_eof:
        end = yield None
        if _mark(end) != 0xFE:
            raise MalformedError
        if cursors and _status(end, 3) & _CURSOR:
            found.status = _status(end, 3)
            return False
        _status(end, 3)
    while True:
        row = yield None
        if row[:1] == b"\xff":
            return True
        if row[:1] == b"\xfe" and (deprecate_eof or len(row) < 9):
            found.status = _ok_status(row) if deprecate_eof else _status(row, 3)
            return False


def _execution(found: Followed, deprecate_eof: bool) -> Packets:  # noqa: FBT001
    return _results(found, deprecate_eof, cursors=True)


def _prepared(found: Followed, deprecate_eof: bool) -> Packets:  # noqa: FBT001
    head = yield None
    if _mark(head) == 0xFF:
        return
    if head[0] or len(head) < 9:
        raise MalformedError
    for count in (int.from_bytes(head[7:9], "little"), int.from_bytes(head[5:7], "little")):
        for _ in range(count):
            if _mark((yield None)) == 0xFF:
                return
        if count and not deprecate_eof:
            end = yield None
            if _mark(end) != 0xFE:
                raise MalformedError
            found.status = _status(end, 3)


_STEPS = {
    Shape.SINGLE: _single,
    Shape.RESULTS: _results,
    Shape.EXECUTION: _execution,
    Shape.ROWS: _rows,
    Shape.PREPARED: _prepared,
}


def _mark(payload: bytes) -> int:
    if not payload:
        raise MalformedError
    return payload[0]


def _lenenc(payload: bytes) -> int:
    size = _SIZES.get(payload[0], 1)
    if size > len(payload):
        raise MalformedError
    return payload[0] if size == 1 else int.from_bytes(payload[1:size], "little")


def _ok_status(payload: bytes) -> int:
    offset = 1
    for _ in range(2):
        if offset >= len(payload):
            raise MalformedError
        offset += _SIZES.get(payload[offset], 1)
    return _status(payload, offset)


def _status(payload: bytes, offset: int) -> int:
    if offset + 2 > len(payload):
        raise MalformedError
    return int.from_bytes(payload[offset : offset + 2], "little")
