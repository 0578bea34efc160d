"""Places and runs in a transaction log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogPosition:
    """A place between two groups of a log.

    `lsn` is in bytes from the log's beginning; `scn` (ns since the epoch, UTC) is that of the last group before it, 0
    if unknown; `chain` is the log's accumulated checksum there, None at a place whose predecessor was never read. A
    reader that goes on from a position with a chain accepts only the log that continues it.
    """

    lsn: int
    scn: int = 0
    chain: int | None = None


@dataclass(frozen=True)
class LogBatch:
    """A run of whole, verified groups: `data` is the log from `start.lsn` to `end.lsn`, byte for byte."""

    data: bytes
    start: LogPosition
    end: LogPosition
    min_scn: int


class LogError(Exception):
    """The log cannot be read on; the round that archives it cannot continue."""


class LogDamagedError(LogError):
    """Log that the engine has finished writing does not verify, or does not continue what was read before."""


class LogGoneError(LogError):
    """The engine recycled log before it was read."""
