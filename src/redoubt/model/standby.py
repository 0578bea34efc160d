"""The seams of a standby: the log that it is fed with, what serves the log, and the engine that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from ssl import SSLContext
from typing import Protocol

from redoubt.errors import RedoubtError
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login


class NoLogError(RedoubtError):
    """Log that is asked for is not there, and will not come by waiting; the text says which and why."""


@dataclass(frozen=True)
class FedLog:
    """Whole, verified groups: the log from `start` to `end`. `data` is not empty."""

    start: LogPosition
    end: LogPosition
    data: bytes


class TakeOverError(RedoubtError):
    """A standby cannot become a primary; the text says why and what to do."""


class LogFeed(Protocol):
    """The log of one engine, as far as it is there now. Any thread may call the methods, which block."""

    def log_at(self, lsn: int) -> FedLog | None:
        """The log that contains `lsn`, or begins there; None if the log ends at `lsn` for now.

        Raises NoLogError if `lsn` is before the first log, after the end, or in a hole; ArchiveError at damage,
        DestinationError.
        """
        ...

    def end(self, *, is_new: bool = False) -> LogPosition:
        """The end of the log, as seen some time ago, or now with `is_new`. Raises as `log_at`."""
        ...


class NoPrivateNetworkError(RedoubtError):
    """An engine that listens cannot be kept from the network; the text says why."""


class StandbyEngine(Protocol):
    """An engine that replays log while it runs, and answers reads. Methods block; any thread may call them."""

    def refuse_opened(self) -> None:
        """Raise OpenedError if an engine has written log of its own in the directory."""
        ...

    def begin(self) -> socket:
        """Start the engine; the listening socket at which it asks for log. The directory only replays from now on.

        Raises NoPrivateNetworkError, EngineStartError, OpenedError, OSError.
        """
        ...

    def answers(self) -> bool:
        """Whether the engine accepts or refuses logins."""
        ...

    def is_open_door(self) -> bool:
        """Whether root can log in without a password. Raises OSError while the engine does not answer."""
        ...

    def readable_scn(self) -> int | None:
        """The SCN as of which the engine answers reads; None if it does not say, or has no account of the service."""
        ...

    def check_alive(self) -> None:
        """Raise EngineStartError if the engine's process has ended."""
        ...

    def aborts(self, logins: Sequence[Login], end_lsn: int) -> FedLog | None:
        """The log that ends what is open in the log up to `end_lsn`, which the engine has received; None if nothing is.

        Raises TakeOverError.
        """
        ...

    def become_primary(self, logins: Sequence[Login], end: LogPosition) -> None:
        """Let the engine write, once it has replayed its log up to `end`. Raises TakeOverError."""
        ...

    def stop(self) -> None:
        """End the engine's process. The directory stays what it is, a standby's or a primary's. Idempotent."""
        ...


class LogSource(Protocol):
    """Serves the log of a feed to engines, in the engines' own protocol. For one event loop."""

    async def listen(self, listening: socket, tls: SSLContext | None = None) -> None:
        """Begin to serve at a listening socket, which is closed at the end. Raises OSError."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...

    def stop_at(self, lsn: int | None) -> None:
        """Serve no log behind an LSN at which a group begins; all log with None."""
        ...

    def append(self, last: FedLog) -> None:
        """Serve this log, too, at the place where `stop_at` has ended the log."""
        ...

    @property
    def received(self) -> LogPosition:
        """The place from which an engine asked for log last: it has all log before. LSN 0 if none has asked yet."""
        ...
