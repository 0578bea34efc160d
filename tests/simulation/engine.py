"""The simulated engine: its log in blocks, held or recycled, and set back to earlier states."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import google_crc32c

from redoubt.model.log import LogBatch, LogDamagedError, LogGoneError, LogPosition

BLOCK = 96
"""Bytes of a block: log is recycled in whole blocks."""
GROUP_SCN = 7
"""By how much the SCN grows from group to group."""


@dataclass(frozen=True)
class History:
    """A log that the engine has, or had before it was set back: its bytes from LSN `first` on, where its groups end."""

    first: int
    data: bytes
    ends: frozenset[int]

    def holds(self, start: int, log: bytes) -> bool:
        """Whether `log` is what it has from LSN `start` on, in whole groups."""
        at = start - self.first
        return self.data[at : at + len(log)] == log and {start, start + len(log)} <= self.ends


class SimEngine:
    """An engine with a log; what it holds and recycles survives the processes of the service."""

    def __init__(self, first_lsn: int) -> None:
        self.first_lsn = first_lsn
        self.groups: list[LogBatch] = []
        self.starts: list[int] = []
        self.data = bytearray()
        self.is_silent = False
        """Whether it does not answer now."""
        self.past: list[History] = []
        """Logs that it was set back from."""
        self._scn = 1000
        self._recycled_to = first_lsn
        self._held_from: int | None = None
        self._freeze_lsn = first_lsn

    @property
    def end(self) -> LogPosition:
        """Where the log ends now."""
        return self.groups[-1].end if self.groups else LogPosition(self.first_lsn, 0, 0)

    def histories(self) -> list[History]:
        """The log, and those that it was set back from."""
        return [self._history(), *self.past]

    def append(self, data: bytes) -> None:
        """Write a group."""
        start = self.end
        self._scn += GROUP_SCN
        end = LogPosition(start.lsn + len(data), self._scn, int(google_crc32c.extend(start.chain or 0, data)))
        self.groups.append(LogBatch(data, start, end, self._scn))
        self.starts.append(start.lsn)
        self.data += data

    def set_back(self, groups: int) -> None:
        """The engine's files are replaced by those of an earlier day: its last `groups` groups never happened."""
        self.past.append(self._history())
        keep = max(0, len(self.groups) - groups)
        del self.groups[keep:], self.starts[keep:]
        del self.data[self.end.lsn - self.first_lsn :]
        self._freeze_lsn = min(self._freeze_lsn, self.end.lsn)

    def minor_freeze(self) -> None:
        """What was written until now is not needed by the engine any more."""
        self._freeze_lsn = self.end.lsn

    def recycle(self) -> None:
        """Let go of whole blocks that neither the engine nor a holder needs."""
        needed = self._freeze_lsn if self._held_from is None else min(self._freeze_lsn, self._held_from)
        self._recycled_to = max(self._recycled_to, needed // BLOCK * BLOCK)

    def hold_log(self) -> None:
        """See `Engine`."""
        if self._held_from is None:
            self._held_from = self._recycled_to

    def release_log(self, lsn: int) -> None:
        """See `Engine`."""
        if self._held_from is not None:
            self._held_from = max(self._held_from, lsn)

    def release_all_log(self) -> None:
        """See `Engine`."""
        self._held_from = None

    def start_point(self) -> LogPosition:
        """See `Engine`: the first group of the block with the freeze point that begins in it."""
        self._answer()
        first = bisect_left(self.starts, max(self._recycled_to, self._freeze_lsn // BLOCK * BLOCK))
        return LogPosition(self.starts[first] if first < len(self.starts) else self.end.lsn)

    def end_of_log(self) -> int:
        """See `Engine`."""
        self._answer()
        return self.end.lsn

    def read(self, position: LogPosition, limit: int) -> LogBatch | None:
        """See `LogReader`."""
        self._answer()
        index = bisect_left(self.starts, position.lsn)
        if index == len(self.starts):
            if position.lsn > self.end.lsn:
                raise LogDamagedError(f"the log ends at LSN {self.end.lsn}, before {position.lsn}")
            if position.lsn != self.end.lsn or position.chain not in {None, self.end.chain}:
                raise LogDamagedError(f"the log at LSN {position.lsn} does not continue what was read before")
            return None
        if position.lsn < self._recycled_to:
            raise LogGoneError(f"the log at LSN {position.lsn} has been recycled")
        first = self.groups[index]
        if first.start.lsn != position.lsn or position.chain not in {None, first.start.chain}:
            raise LogDamagedError(f"the log at LSN {position.lsn} does not continue what was read before")
        parts, size, last = [first.data], len(first.data), first
        for group in self.groups[index + 1 : index + 8]:
            if size + len(group.data) > limit:
                break
            parts.append(group.data)
            size += len(group.data)
            last = group
        return LogBatch(b"".join(parts), position, last.end, first.min_scn)

    def close(self) -> None:
        """See `LogReader`."""

    def _answer(self) -> None:
        if self.is_silent:
            raise ConnectionError("the engine does not answer")

    def _history(self) -> History:
        return History(
            self.first_lsn, bytes(self.data), frozenset(group.end.lsn for group in self.groups) | {self.first_lsn}
        )
