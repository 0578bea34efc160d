"""Locks in an object store: leases, because a store drops no lock when its holder dies.

The lease of a name is a folder of objects, one for each epoch. An epoch is taken by put-if-absent, so one process gets
it. Its holder renews it by writing its own object again, and gives it up by writing `released` there. The highest epoch
counts. A lease that was not renewed for `TERM` is stale, and the next epoch may be taken; the former holder finds the
higher epoch when it looks, and is not the holder any more. It stops writing even without looking once its own clock
says that the term is over.

How old a lease is, the store's clock says, of its own object and of one that is written now: the clocks of two machines
need not agree. On the holder's own machine, a lease is stale as soon as its process is gone.

Readers share a lease with objects of their own beside the epochs. Who takes a lease looks for readers after its own
object is there, and a reader for an epoch likewise, so that one of them sees the other.

A request that left a holder in time may still arrive after the term. So a lease keeps writers apart, but nothing is
mixed without it: objects are never replaced, and a reader refuses log that is there twice.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.model.seams import DestinationError, LockedError, ObjectExistsError, ObjectMissingError

TERM = 300.0
"""Seconds without renewal after which others may take the lease."""
RENEWAL = TERM / 3
_LONGEST_LEASE = 4096
_LONGEST_HOLDER = 1000
_CLOCK = "now-"
_READER = "reader-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_DEAD = ("Z", "X")
"""States of a process that has ended, in proc(5)."""


class LeaseObjects(Protocol):
    """What a lease needs of a store. Names are relative to the destination."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `Destination`."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Write an object, in place of a former one. Raises DestinationError."""
        ...

    def get(self, name: str, offset: int, length: int) -> bytes:
        """See `Destination`."""
        ...

    def delete(self, name: str) -> None:
        """See `Destination`."""
        ...

    def written_at(self, name: str) -> float:
        """When an object was written, by the store's clock: seconds since the epoch. Raises DestinationError."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the objects in a folder, without the folder, in order; hidden ones too."""
        ...


@dataclass(frozen=True)
class _Holder:
    """Who holds a lease, as its object says: a line for people, and the process on its machine."""

    line: str
    machine: str
    pid: int
    started: str

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended; False where this machine cannot know."""
        return self.machine == _machine() and _started(self.pid) != self.started


class Lease:
    """A lease that this process holds, alone or shared, until `release`. `clock()` gives monotonic seconds."""

    def __init__(
        self, store: LeaseObjects, name: str, data: bytes, clock: Callable[[], float], asked_at: float
    ) -> None:
        self._store = store
        self._name = name
        self._data = data
        self._clock = clock
        self._renewed_at = asked_at
        self._guard = threading.Lock()
        self._ended = threading.Event()
        _in_background(self._keep)

    @classmethod
    def take(cls, store: LeaseObjects, folder: str, holder: str, clock: Callable[[], float] = time.monotonic) -> Lease:
        """Take the lease whose objects are in `folder`, alone. Raises LockedError."""
        names = store.names(folder)
        _check_free(store, folder, names)
        _check_unread(store, folder, names)
        epoch = _highest(names) + 1
        asked_at, data = clock(), _record(holder)
        if not _put(store, _epoch(folder, epoch), data):
            raise LockedError(f"{folder} has just been locked by another process")
        taken = _Alone(store, _epoch(folder, epoch), data, clock, asked_at)
        try:
            names = store.names(folder)
            _check_unread(store, folder, names)  # who began to read meanwhile has seen this epoch, or is seen here
        except DestinationError:
            taken.release()
            raise
        with suppress(DestinationError):  # leftovers count for nothing
            for old in _epochs(names):
                if old < epoch:
                    store.delete(_epoch(folder, old))
        return taken

    @classmethod
    def share(cls, store: LeaseObjects, folder: str, clock: Callable[[], float] = time.monotonic) -> Lease | None:
        """Share the lease with other readers; None if nobody has ever taken it. Raises LockedError."""
        if not store.names(folder):
            return None
        name, data = f"{folder}/{_READER}{os.urandom(16).hex()}", _record(f"pid {os.getpid()}")
        asked_at = clock()
        _put(store, name, data)
        shared = _Shared(store, name, data, clock, asked_at)
        try:
            _check_free(store, folder, store.names(folder))
        except DestinationError:
            shared.release()
            raise
        return shared

    def is_in_place(self) -> bool:
        """See `Lock`. Asks the store only if the lease was not renewed in time."""
        with self._guard:
            if self._ended.is_set():
                return False
            if self._clock() - self._renewed_at < TERM - RENEWAL:
                return True
            return self._renew()

    def release(self) -> None:
        """See `Lock`."""
        with self._guard:
            if not self._ended.is_set():
                self._ended.set()
                with suppress(DestinationError):  # the term ends it
                    self._give_up()

    def _keep(self) -> None:
        """Renew the lease until it is released."""
        while not self._ended.wait(RENEWAL):
            with suppress(DestinationError), self._guard:  # tried again; the writer notices that the term is over
                if not self._ended.is_set() and not self._renew():
                    self._ended.set()

    def _renew(self) -> bool:
        """Renew the lease; False if it is another process's now. Raises DestinationError."""
        asked_at = self._clock()
        if not self._is_ours():
            return False
        self._store.replace(self._name, self._data)
        self._renewed_at = asked_at
        return True

    def _is_ours(self) -> bool:
        raise NotImplementedError

    def _give_up(self) -> None:
        raise NotImplementedError


class _Alone(Lease):
    """The lease's highest epoch."""

    def _is_ours(self) -> bool:
        folder, _, own = self._name.rpartition("/")
        return _highest(self._store.names(folder)) == int(own)

    def _give_up(self) -> None:
        if self._is_ours():
            # If it were deleted, the epoch could be taken again, and a former holder would believe it its own.
            self._store.replace(self._name, b"")


class _Shared(Lease):
    """One of the lease's readers."""

    def _is_ours(self) -> bool:
        folder, _, own = self._name.rpartition("/")
        return own in self._store.names(folder)

    def _give_up(self) -> None:
        self._store.delete(self._name)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="lease", daemon=True).start()


def _check_free(store: LeaseObjects, folder: str, names: list[str]) -> None:
    """Raise LockedError while a process holds the lease alone."""
    if epoch := _highest(names):
        holder, left = _seconds_left(store, folder, _epoch(folder, epoch))
        if left > 0:
            who = holder.line if holder else "another process"
            raise LockedError(
                f"{folder} is being written by {who}; its lease ends in {left:.0f} s unless that process renews it"
            )


def _check_unread(store: LeaseObjects, folder: str, names: list[str]) -> None:
    """Raise LockedError while a process reads; remove the readers that are gone."""
    for reader in names:
        if reader.startswith(_READER):
            _, left = _seconds_left(store, folder, f"{folder}/{reader}")
            if left > 0:
                raise LockedError(
                    f"{folder} is being read, by a restore or a drill; wait until that has ended, "
                    f"or {left:.0f} s if its process was killed"
                )
            store.delete(f"{folder}/{reader}")


def _seconds_left(store: LeaseObjects, folder: str, name: str) -> tuple[_Holder | None, float]:
    """Who holds a lease, and for how long unless it is renewed; 0 if it was given up or its process is gone."""
    try:
        data = store.get(name, 0, _LONGEST_LEASE)
        holder = _holder(data)
        if not data or (holder is not None and holder.is_gone):
            return holder, 0.0
        return holder, TERM - _age(store, folder, name)
    except ObjectMissingError:  # given up meanwhile, or there is a higher epoch
        return None, 0.0


def _age(store: LeaseObjects, folder: str, name: str) -> float:
    """How long ago an object was written, in seconds by the store's clock."""
    now = f"{folder}/{_CLOCK}{os.urandom(16).hex()}"
    _put(store, now, b"")
    try:
        return store.written_at(now) - store.written_at(name)
    finally:
        store.delete(now)


def _put(store: LeaseObjects, name: str, data: bytes) -> bool:
    """Store an object that nobody else would store with this content; False if the name is another's.

    The answer to a first try may have been lost: then the object is there, and ours.
    """
    try:
        store.put_if_absent(name, data)
    except ObjectExistsError:
        return store.get(name, 0, _LONGEST_LEASE) == data
    return True


def _epochs(names: list[str]) -> list[int]:
    return [int(name) for name in names if name.isascii() and name.isdecimal()]


def _highest(names: list[str]) -> int:
    return max(_epochs(names), default=0)


def _epoch(folder: str, number: int) -> str:
    return f"{folder}/{number:020d}"


def _record(line: str) -> bytes:
    pid = os.getpid()
    record = {"holder": line[:_LONGEST_HOLDER], "machine": _machine(), "pid": pid, "started": _started(pid)}
    return json.dumps(record | {"token": os.urandom(16).hex()}, ensure_ascii=False).encode()


def _holder(data: bytes) -> _Holder | None:
    """Who holds a lease; None if the record is damaged: its term counts all the same."""
    try:
        record = json.loads(data)
        return _Holder(str(record["holder"]), str(record["machine"]), int(record["pid"]), str(record["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _machine() -> str:
    """The present boot of this machine, and what its process ids count in: a container has process ids of its own."""
    return f"{_BOOT_ID.read_text().strip()} {_PIDS.readlink()}"


def _started(pid: int) -> str:
    """When a process of this machine was started, empty if none runs: a process id is given again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in _DEAD else fields[19]
