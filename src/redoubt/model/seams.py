"""The three seams between the archive and an engine, its log, and a backup destination.

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
        """The verified log from `position` on, or None if the log has no more groups yet.

        Returns about `limit` bytes at most, but at least one group if a group is complete. A later call returns bytes
        that the engine is still writing. Raises LogDamagedError or LogGoneError if a later call cannot succeed, and
        OSError if a later call may.
        """
        ...

    def close(self) -> None:
        """Close open files and connections."""
        ...


class Engine(Protocol):
    """A tenant's database engine and its log. Methods block and may be called from any thread."""

    def source_id(self) -> str:
        """The id that tells this engine's log from every other engine's log; kept over restarts."""
        ...

    def start_point(self) -> LogPosition:
        """The start of archiving: the start of the block that holds the latest minor-freeze point.

        Hold the log first: otherwise the engine may recycle log after this call.
        """
        ...

    def end_of_log(self) -> int:
        """LSN up to which the engine has finished writing. Raises OSError while the engine does not answer."""
        ...

    def end_of_commits(self) -> int:
        """An LSN before which the log of all acknowledged commits lies; not before `end_of_log`. Raises OSError."""
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
        """Release the held blocks that end at or below `lsn`. Idempotent."""
        ...

    def release_all_log(self) -> None:
        """Release all held blocks. Idempotent."""
        ...

    def held_from(self) -> int | None:
        """LSN at which held log begins, None if none is held."""
        ...

    def disk_free(self) -> int:
        """Free bytes on the disk that stores held log."""
        ...

    def close_writes(self) -> None:
        """Make the engine refuse writes of ordinary users on every connection. Idempotent.

        Survives restarts. Raises OSError while the engine does not answer; writes may be closed then or not.
        """
        ...

    def open_writes(self) -> None:
        """Undo `close_writes`. Does nothing if `close_writes` was not called. Raises OSError."""
        ...

    def has_closed_writes(self) -> bool:
        """Whether `close_writes` is in effect, or was begun."""
        ...

    def minor_freeze(self) -> None:
        """Ask for a minor freeze. Returns when the engine has accepted the request, not when it has flushed."""
        ...


@dataclass(frozen=True)
class ObjectInfo:
    """An object of a destination: its name relative to the destination, its size in bytes."""

    name: str
    size: int


class DestinationError(RedoubtError):
    """An operation on the destination failed; the text names the object or path, and the cause."""


class ObjectExistsError(DestinationError):
    """An object of that name exists already; the object was not changed."""


class ObjectMissingError(DestinationError):
    """The object does not exist."""


class NotPermittedError(DestinationError):
    """The destination lets this account not do it."""


class LockedError(DestinationError):
    """Another process holds the lock; the text names that process if known."""


class Lock(Protocol):
    """A lock in a destination that this process holds."""

    @property
    def epoch(self) -> int:
        """The number of a lease, higher than those before; 0 for a lock that outlives the last write of its holder."""
        ...

    def is_in_place(self) -> bool:
        """Whether another process finds the lock: not if the destination was exchanged. Raises DestinationError."""
        ...

    def release(self) -> None:
        """Release the lock. Idempotent."""
        ...


class Destination(Protocol):
    """A place for immutable objects, named with '/' between the parts. Methods block; any thread may call them."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Store an object. When this returns, the object survives a loss of power.

        Either the whole object becomes visible or nothing. Raises ObjectExistsError if the name is taken.
        """
        ...

    def get(self, name: str, offset: int, length: int) -> bytes:
        """The object's bytes from `offset` on, at most `length` of them. Raises ObjectMissingError.

        There is no way to read an object of any size whole: a destination may hold anything.
        """
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects directly under the folder `prefix`, ordered by name; none if the folder does not exist."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly under the folder `prefix`, in order; none if that folder does not exist.

        A folder that holds an object exists; an empty folder may exist.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove an object; no error if the object does not exist. A loss of power may bring the object back."""
        ...

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:
        """Take the lock of that name, without waiting. Raises LockedError while another process, or this one, has it.

        `holder` is a line that tells others who holds the lock. A lease gets an epoch higher than `after`. The lock is
        released when the process ends in any way, but not before its last write to the destination is over; a lease,
        some time after its last renewal. A lock is not an object: `list` does not return it.
        """
        ...

    def share(self, name: str) -> Lock | None:
        """Keep others from taking the lock of that name as long as this process reads. Any number may share.

        None if that cannot be had: nobody has taken the lock yet, or the place has no locks, or none for this user.
        Raises LockedError while a process has taken the lock. Stores no object, and leaves nothing when it is released.
        """
        ...

    def probe(self) -> None:
        """Store, read, list and delete a test object. Raises DestinationError."""
        ...
