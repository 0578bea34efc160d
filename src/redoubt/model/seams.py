"""The three seams: what the archive needs of an engine, of its log, and of a backup destination.

Every implementation of a Protocol here runs the same conformance test (`tests/conformance/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from redoubt.errors import RedoubtError
from redoubt.model.log import LogBatch, LogPosition


class LogReader(Protocol):
    """Reads an engine's log in order. Called from one thread; holds no position of its own."""

    def read(self, position: LogPosition, limit: int) -> LogBatch | None:
        """The verified log from `position` on, or None if there is none yet.

        At most about `limit` bytes, but never less than one group if a group is there. Bytes that the engine is still
        writing are left for a later call. Raises LogDamagedError or LogGoneError when no later call can do better, and
        OSError when one may.
        """
        ...

    def close(self) -> None:
        """Let go of open files and connections."""
        ...


class Engine(Protocol):
    """A tenant's database engine, as the owner of a log. Methods block and may be called from any thread."""

    def source_id(self) -> str:
        """What tells this engine's log from every other's; kept over restarts."""
        ...

    def start_point(self) -> LogPosition:
        """Where archiving begins: the start of the block that holds the latest minor-freeze point.

        Log from there on must be held first, or the engine may recycle it in between.
        """
        ...

    def end_of_log(self) -> int:
        """LSN up to which the engine has finished writing. Raises OSError while the engine does not answer."""
        ...

    def reader(self) -> LogReader:
        """A new reader of this engine's log."""
        ...

    def hold_log(self) -> None:
        """Keep every block that exists now from being recycled; to be called again as the log grows.

        Survives restarts of this process and of the engine. Idempotent.
        """
        ...

    def release_log(self, lsn: int) -> None:
        """Give up the held blocks that end at or below `lsn`. Idempotent."""
        ...

    def release_all_log(self) -> None:
        """Hold nothing any more. Idempotent."""
        ...

    def held_from(self) -> int | None:
        """LSN at which held log begins, None if none is held."""
        ...

    def disk_free(self) -> int:
        """Bytes that are free on the disk that held log takes room on."""
        ...

    def close_writes(self) -> None:
        """Have the engine refuse writes of ordinary users, whatever door they come through. Idempotent.

        Survives restarts. Raises OSError while the engine does not answer; what is done then is open.
        """
        ...

    def open_writes(self) -> None:
        """Undo `close_writes`: as it was before. Nothing happens if writes were not closed by it. Raises OSError."""
        ...

    def has_closed_writes(self) -> bool:
        """Whether `close_writes` is in effect, or was begun."""
        ...

    def minor_freeze(self) -> None:
        """Ask for a minor freeze; returns when it has been accepted, not when it has been flushed."""
        ...


@dataclass(frozen=True)
class ObjectInfo:
    """An object of a destination: its name relative to the destination, its size in bytes."""

    name: str
    size: int


class DestinationError(RedoubtError):
    """The destination did not do what was asked; the text names the object or path and the cause."""


class ObjectExistsError(DestinationError):
    """An object of that name is already there; it was not touched."""


class ObjectMissingError(DestinationError):
    """There is no object of that name."""


class LockedError(DestinationError):
    """Another process holds the lock; the text says which, as far as that is known."""


class Lock(Protocol):
    """A lock in a destination that this process holds."""

    def release(self) -> None:
        """Let it go. Idempotent."""
        ...


class Destination(Protocol):
    """A place for immutable objects, named with '/' between the parts. Methods block; any thread may call them."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Store an object; when this returns, it survives a loss of power.

        Either the whole object becomes visible or nothing. Raises ObjectExistsError if the name is taken.
        """
        ...

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The object's bytes from `offset` on, at most `length` of them. Raises ObjectMissingError."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects directly under the folder `prefix`, ordered by name; nothing if there is no such folder."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly under the folder `prefix`, in order; nothing if there is no such folder.

        A folder is there when an object is under it, and may be there without one.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove an object; no error if it is not there. A loss of power may bring it back."""
        ...

    def lock(self, name: str, holder: str) -> Lock:
        """Take the lock of that name, without waiting. Raises LockedError while another process, or this one, has it.

        `holder` is a line that tells others who has it. The lock goes with the process, however that ends, and not
        before its last write to the destination is over. A lock is no object: it is not listed.
        """
        ...

    def probe(self) -> None:
        """Show by trying that objects can be stored, read, listed and deleted. Raises DestinationError."""
        ...
