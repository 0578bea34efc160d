"""Log as the messages of an answer, encoded once for all who ask: any run of groups is a slice of them. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from redoubt.engines.seekdb.log_source.messages import encode_answer
from redoubt.engines.seekdb.palf import groups_in
from redoubt.model.log import LogPosition
from redoubt.model.standby import FedLog


class NotAGroupError(ValueError):
    """A place in the log at which no group begins."""


class EncodedLog:
    """The messages of a run of log from `start_lsn` to `end`."""

    def __init__(self, fed: FedLog) -> None:
        self.start_lsn = fed.start.lsn
        self.end: LogPosition = fed.end
        lsns, places, parts, place = array("Q"), array("Q"), list[bytes](), 0
        with memoryview(fed.data) as view:
            for at, size, scn in groups_in(view):
                message = encode_answer(view[at : at + size], fed.start.lsn + at, scn)
                lsns.append(fed.start.lsn + at)
                places.append(place)
                parts.append(message)
                place += len(message)
        self._lsns, self._places = lsns, places
        self._messages = b"".join(parts)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self._messages) + 16 * len(self._lsns)

    def messages(self, lsn: int, most: int) -> tuple[memoryview, int]:
        """The messages from the group at `lsn` on, and the LSN after them; some `most` bytes of log, at least a group.

        Raises NotAGroupError.
        """
        first = bisect_left(self._lsns, lsn)
        if first == len(self._lsns) or self._lsns[first] != lsn:
            raise NotAGroupError(f"no group begins at LSN {lsn}")
        last = max(bisect_left(self._lsns, lsn + most), first + 1)
        view = memoryview(self._messages)[self._places[first] :]
        if last == len(self._lsns):
            return view, self.end.lsn
        return view[: self._places[last] - self._places[first]], self._lsns[last]
