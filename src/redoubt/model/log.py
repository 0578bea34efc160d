"""Places and runs in a transaction log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogPosition:
    """A place between two groups of a log.

    `lsn` is in bytes from the log's beginning. `scn` (ns since the epoch, UTC) is the SCN of the last group before the
    place, 0 if unknown. `chain` is the log's accumulated checksum at the place, None if unknown. A reader that starts
    at a position with a chain accepts only log that continues the chain.
    """

    lsn: int
    scn: int = 0
    chain: int | None = None


@dataclass(frozen=True)
class LogBatch:
    """A run of whole, verified groups: `data` is the log from `start.lsn` to `end.lsn`, byte for byte.

    `is_upkeep`: all of it is what an idle engine writes by itself, so that nobody's data is lost without it.
    """

    data: bytes
    start: LogPosition
    end: LogPosition
    min_scn: int
    is_upkeep: bool = False


class LogError(Exception):
    """The log cannot be read further; the round that archives the log cannot continue."""


class LogDamagedError(LogError):
    """Log that the engine has finished writing fails verification, or does not continue the log read before."""


class LogGoneError(LogError):
    """The engine recycled log before it was read."""
