"""Finds the end of an engine's reply: a pure state machine over the packets' headers.

The gateway passes replies on in the chunks in which they arrive. The machine walks over the headers in a chunk, looks
into a packet's first bytes only where it must, and so knows when the reply is complete. Between the packets of a
reply that becomes a part of a longer one (several statements in one text) it adjusts the sequence numbers and tells
the client that more results follow.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.protocol import MAX_PART, Marker, Status
from redoubt.gateway.shapes import Shape

_HEADER = 4
_HEAD = 23  # the longest beginning of a payload that is parsed: an OK up to its warnings
_LONGEST_REQUEST = 64 * 1024  # for a file; longer than any name
_LENENC_SIZES = {0xFC: 3, 0xFD: 4, 0xFE: 9}


class Reply:
    """Follows one reply; `feed` it until `done`.

    `sequence` is the number of the next packet that the client expects. `shift` is added to all sequence numbers;
    `more_follow` marks the last result as not the last. `status` holds the latest status flags, None before any.
    `verdicts` counts the results that have ended, well or not. `statement_id` is that of a statement just prepared.

    `named_files` tells which local files the client's command names. A request for another is a ProtocolError: an
    engine that has been taken over must not read the client's files.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        deprecate_eof: bool = False,
        sequence: int = 1,
        shift: int = 0,
        more_follow: bool = False,
        named_files: Callable[[], Container[bytes]] = frozenset,
    ) -> None:
        self.sequence = (sequence + shift) & 0xFF
        self.status: int | None = None
        self.failed = False
        self.verdicts = 0
        self.statement_id: int | None = None
        self.shift = shift & 0xFF
        self._more_follow = more_follow
        self._named_files = named_files
        self._shape = shape
        self._deprecate_eof = deprecate_eof
        self._finished = False
        self._file_wanted = False
        self._body = 0  # bytes of the present part that have yet to come
        self._continued = False  # the next part continues the present packet
        self._definitions: list[int] = []  # how many of each kind follow
        self._in_rows = shape is Shape.ROWS
        self._state = {
            Shape.SINGLE: self._single,
            Shape.RESULTS: self._result,
            Shape.EXECUTION: self._result,
            Shape.ROWS: self._row,
            Shape.PREPARED: self._prepared,
        }[shape]

    @property
    def at_boundary(self) -> bool:
        """Whether the last packet has been passed on as a whole."""
        return not self._body and not self._continued

    @property
    def between_results(self) -> bool:
        """Whether a result begins with the next packet, or would: in its place an error may stand as well."""
        return self.at_boundary and self._state == self._result

    @property
    def done(self) -> bool:
        """Whether the reply is complete."""
        return self._finished and self.at_boundary

    @property
    def wants_file(self) -> bool:
        """Whether the client must send a local file now."""
        return self._file_wanted and self.at_boundary

    def file_sent(self, sequence: int) -> None:
        """Go on after the client's file, whose last packet had that sequence number."""
        self._file_wanted = False
        self.sequence = (sequence + 1) & 0xFF

    def feed(self, data: bytearray) -> int:
        """Walk over what arrived and return how many bytes of it can go to the client.

        The rest belongs to an incomplete packet, follows the end of the reply, or waits for the client's file; feed it
        again. Sequence numbers and status flags are changed in place.
        """
        at = min(self._body, len(data))
        self._body -= at
        while not self.done and not self.wants_file:
            if self._in_rows and not self._continued:
                at = self._pass_rows(data, at)
            after = self._pass_packet(data, at)
            if after == at:
                break
            at = after
        return at

    def _pass_rows(self, data: bytearray, at: int) -> int:
        """Walk over whole rows; a large result spends its time in this loop."""
        last = -1
        available = len(data)
        while at + _HEADER < available:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            after = at + _HEADER + length
            if data[at + _HEADER] >= Marker.EOF or length in (0, MAX_PART) or after > available:
                break
            if self.shift:
                data[at + 3] = (data[at + 3] + self.shift) & 0xFF
            last = at
            at = after
        if last >= 0:
            self.sequence = (data[last + 3] + 1) & 0xFF
        return at

    def _pass_packet(self, data: bytearray, at: int) -> int:
        """Walk over one part; return `at` if its beginning has not arrived yet."""
        room = len(data) - at - _HEADER
        if room < 0:
            return at
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        if not self._continued and (room < min(length, _HEAD) or self._is_cut_request(data, at + _HEADER, length)):
            return at
        data[at + 3] = (data[at + 3] + self.shift) & 0xFF
        self.sequence = (data[at + 3] + 1) & 0xFF
        if not self._continued:
            self._state(data, at + _HEADER, length)
        self._continued = length == MAX_PART
        self._body = max(0, length - room)
        return at + _HEADER + min(length, room)

    def _is_cut_request(self, data: bytearray, at: int, length: int) -> bool:
        """Tell whether a request for a file has begun, and the file's name has not arrived as a whole."""
        arrived = len(data) - at
        is_cut = arrived < min(length, _LONGEST_REQUEST)
        return is_cut and self._state == self._result and data[at] == Marker.LOCAL_FILE

    # The states: each looks at one packet, of `length` bytes from `at` on.

    def _single(self, data: bytearray, at: int, length: int) -> None:
        marker = self._marker(data, at, length)
        if marker == Marker.OK:
            self._take_status(data, _ok_status(data, at, length))
        elif marker == Marker.EOF and length < Marker.EOF_BELOW:
            self._take_status(data, _eof_status(at, length))
        elif marker == Marker.LOCAL_FILE:
            raise ProtocolError("the engine asks for a file of the client's, and the command is no statement")
        self.failed = marker == Marker.ERROR
        self._finished = True

    def _result(self, data: bytearray, at: int, length: int) -> None:
        marker = self._marker(data, at, length)
        if marker == Marker.OK:
            self._end_result(data, _ok_status(data, at, length))
        elif marker == Marker.ERROR:
            self._fail()
        elif marker == Marker.LOCAL_FILE:
            self._want_file(bytes(data[at + 1 : at + length]), length)
        else:
            columns = _lenenc(data, at, length)
            if not columns:
                raise ProtocolError("the engine's result has no columns")
            self._definitions = [columns]
            self._state = self._definition

    def _want_file(self, name: bytes, length: int) -> None:
        if length > _LONGEST_REQUEST or name not in self._named_files():
            raise ProtocolError("the engine asks for a file of the client's that the client's statement does not name")
        self._file_wanted = True

    def _prepared(self, data: bytearray, at: int, length: int) -> None:
        marker = self._marker(data, at, length)
        if marker == Marker.ERROR:
            self._fail()
            return
        if marker != Marker.OK:
            raise ProtocolError("the engine's reply to a prepare is neither OK nor an error")
        if length < 9:  # noqa: PLR2004 - the marker, the id, two counts
            raise ProtocolError("the engine's reply is too short")
        self.statement_id = int.from_bytes(data[at + 1 : at + 5], "little")
        columns = data[at + 5] | data[at + 6] << 8
        parameters = data[at + 7] | data[at + 8] << 8
        self._definitions = [count for count in (parameters, columns) if count]
        self._state = self._definition
        self._finished = not self._definitions

    def _definition(self, data: bytearray, at: int, length: int) -> None:
        if self._marker(data, at, length) == Marker.ERROR:
            self._fail()
            return
        self._definitions[0] -= 1
        if self._definitions[0]:
            return
        self._definitions.pop(0)
        if not self._deprecate_eof:
            self._state = self._definitions_end
        elif self._shape is not Shape.PREPARED:
            self._expect_rows()
        else:
            self._finished = not self._definitions

    def _definitions_end(self, data: bytearray, at: int, length: int) -> None:
        if self._marker(data, at, length) != Marker.EOF:
            raise ProtocolError("the engine's column definitions have no end packet")
        offset = _eof_status(at, length)
        if self._shape is Shape.PREPARED:
            self._take_status(data, offset)
            self._state = self._definition
            self._finished = not self._definitions
        elif self._shape is Shape.EXECUTION and data[offset] & Status.CURSOR:
            self._end_result(data, offset)
        else:
            self._expect_rows()

    def _row(self, data: bytearray, at: int, length: int) -> None:
        marker = data[at] if length else Marker.OK
        if marker == Marker.ERROR:
            self._fail()
        elif marker == Marker.EOF and self._deprecate_eof and length < MAX_PART:
            self._end_result(data, _ok_status(data, at, length))
        elif marker == Marker.EOF and length < Marker.EOF_BELOW:
            self._end_result(data, _eof_status(at, length))

    def _expect_rows(self) -> None:
        self._in_rows = True
        self._state = self._row

    def _end_result(self, data: bytearray, offset: int) -> None:
        """Take the status flags at `offset`, which say whether another result follows."""
        self._take_status(data, offset)
        self.verdicts += 1
        self._in_rows = False
        if data[offset] & Status.MORE_RESULTS and self._shape is not Shape.ROWS:
            self._state = self._result
            return
        self._finished = True
        if self._more_follow:
            data[offset] |= Status.MORE_RESULTS

    def _take_status(self, data: bytearray, offset: int) -> None:
        self.status = data[offset] | data[offset + 1] << 8

    def _fail(self) -> None:
        self.verdicts += 1
        self.failed = self._finished = True

    @staticmethod
    def _marker(data: bytearray, at: int, length: int) -> int:
        if not length:
            raise ProtocolError("the engine's reply is empty")
        return data[at]


def _lenenc(data: bytearray, at: int, length: int) -> int:
    size = _LENENC_SIZES.get(data[at], 1)
    if size > length:
        raise ProtocolError("the engine's reply is too short")
    return data[at] if size == 1 else int.from_bytes(data[at + 1 : at + size], "little")


def _ok_status(data: bytearray, at: int, length: int) -> int:
    """Return the offset of an OK's status flags, after two numbers of varying length."""
    offset = 1
    for _ in range(2):
        if offset >= length:
            raise ProtocolError("the engine's OK packet is too short")
        offset += _LENENC_SIZES.get(data[at + offset], 1)
    if offset + 2 > length:
        raise ProtocolError("the engine's OK packet is too short")
    return at + offset


def _eof_status(at: int, length: int) -> int:
    if length < 5:  # noqa: PLR2004 - the marker, the warnings, the status flags
        raise ProtocolError("the engine's EOF packet is too short")
    return at + 3
