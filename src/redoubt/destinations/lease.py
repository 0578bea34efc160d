"""Locks in an object store: leases, because a store drops no lock when its holder dies.

The lease of a name is a folder of objects, one for each epoch. An epoch is taken by put-if-absent, so one process gets
it. Its holder renews it by writing its own object again, and gives it up by writing an empty one. The highest epoch
counts. A lease that was not renewed for `TERM` is stale, and the next epoch may be taken. Whoever takes an epoch looks
again afterwards, and so does a holder that renews: of two that meet, at least one finds the other, and gives way.

A holder relies on its lease for `TRUST` after a renewal, by its own clock, without a request. After that, the lease is
lost, even if nobody has taken it, and must be taken again. `TERM` is longer by the time for which a request that left
in time may be under way. So a lease keeps writers apart; and nothing is mixed without it, because objects are never
replaced, and a reader refuses log that is there twice.

How old a lease is, the store's clock says, of its own object and of one that is written now: the clocks of two machines
need not agree. On the holder's own machine, a lease is stale as soon as its process is gone.

Readers share a lease with objects of their own beside the epochs. Who takes a lease looks for readers after its own
object is there, and a reader for an epoch likewise, so that one of them sees the other.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.model.seams import (
    DestinationError,
    LockedError,
    NotPermittedError,
    ObjectExistsError,
    ObjectMissingError,
)

RENEWAL = 100.0
"""Seconds between two renewals."""
TRUST = 200.0
"""Seconds after a renewal for which its holder relies on the lease."""
TERM = 600.0
"""Seconds without renewal after which others may take the lease: a request may be under way for six minutes."""
_RETRY = 10.0
_LONGEST_LEASE = 4096
_LONGEST_HOLDER = 1000
_EPOCH = re.compile(r"00[0-9]{18}\Z", re.ASCII)
"""An epoch is also in the names of segments, where it has 18 digits at most."""
_CLOCK = "now-"
_READER = "reader-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_DEAD = ("Z", "X")
"""States of a process that has ended, in proc(5)."""


def _boot_clock() -> float:
    """Seconds since the machine was started; the time for which it was suspended counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


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


_live: set[str] = set()
"""The tokens of the leases that this process holds."""


@dataclass(frozen=True)
class _Holder:
    """Who holds a lease, as its object says: a line for people, the process on its machine, and a random token."""

    line: str
    machine: str
    pid: int
    started: str
    token: str

    @property
    def is_gone(self) -> bool:
        """Whether the holder has ended, or has given up; False where this machine cannot know."""
        if self.machine != _machine():
            return False
        if self.pid == os.getpid() and self.started == _started(self.pid):
            return self.token not in _live
        return _has_ended(self.pid, self.started)


class Lease(ABC):
    """A lease that this process holds, alone or shared, until `release`. `clock()` gives seconds that never stop."""

    def __init__(self, store: LeaseObjects, name: str, record: _Holder, clock: Callable[[], float]) -> None:
        self._store = store
        self._name = name
        self._record = record
        self._clock = clock
        self._renewed_at = clock()
        self._requests = threading.Lock()
        self._ended = threading.Event()

    @classmethod
    def take(
        cls,
        store: LeaseObjects,
        folder: str,
        holder: str,
        clock: Callable[[], float] = _boot_clock,
        after: int = 0,
    ) -> Lease:
        """Take the lease whose objects are in `folder`, alone. Raises LockedError. `after`: see `Destination`."""
        names = store.names(folder)
        _check_free(store, folder, names)
        _check_unread(store, folder, names)
        number = max(_highest(names), after) + 1
        taken = _Alone(store, _epoch(folder, number), _own_record(holder), clock)
        taken.begin(lambda: _check_taken(store, folder, number))
        with suppress(DestinationError):  # leftovers count for nothing
            for old in _epochs(names):
                store.delete(_epoch(folder, old))
        return taken

    @classmethod
    def share(cls, store: LeaseObjects, folder: str, clock: Callable[[], float] = _boot_clock) -> Lease | None:
        """Share the lease with other readers. Raises LockedError.

        None if nobody has ever taken it, or if the store lets this account not write.
        """
        if not store.names(folder):
            return None
        name = f"{folder}/{_READER}{os.urandom(16).hex()}"
        shared = _Shared(store, name, _own_record(f"pid {os.getpid()}"), clock)
        try:
            shared.begin(lambda: _check_free(store, folder, store.names(folder)))
        except NotPermittedError:
            return None
        return shared

    @property
    @abstractmethod
    def epoch(self) -> int:
        """See `Lock`."""

    def is_in_place(self) -> bool:
        """See `Lock`. Asks nobody."""
        return not self._ended.is_set() and self._clock() - self._renewed_at < TRUST

    def release(self) -> None:
        """See `Lock`."""
        with self._requests:
            if not self._ended.is_set():
                self._end()
                with suppress(DestinationError):  # this process is known to have given up; elsewhere the term ends it
                    self._give_up()

    def begin(self, check: Callable[[], None]) -> None:
        """Store the lease's object, look whether it counts, and renew it from now on. Raises LockedError."""
        _live.add(self._record.token)
        try:
            self._store_object()
            check()
        except BaseException:
            self._end()
            with suppress(DestinationError):  # this process is known to have given up; elsewhere the term ends it
                if self._store.get(self._name, 0, _LONGEST_LEASE) == _dumped(self._record):
                    self._store.delete(self._name)
            raise
        _in_background(self._keep)

    def _store_object(self) -> None:
        if not _put(self._store, self._name, _dumped(self._record)):
            raise LockedError(f"{self._name} has just been locked by another process")

    def _end(self) -> None:
        self._ended.set()
        _live.discard(self._record.token)

    def _keep(self) -> None:
        """Renew the lease until it is released or lost."""
        pause = RENEWAL
        while not self._ended.wait(pause):
            pause = _RETRY
            with suppress(DestinationError), self._requests:
                if not self._ended.is_set():
                    self._renew()
                    pause = RENEWAL

    def _renew(self) -> None:
        """Renew the lease, or end it if it is lost. Raises DestinationError."""
        asked_at = self._clock()
        if asked_at - self._renewed_at >= TRUST:
            self._end()
            return
        self._store.replace(self._name, _dumped(self._record))
        if self._is_ours():
            self._renewed_at = asked_at
        else:
            self._end()

    @abstractmethod
    def _is_ours(self) -> bool:
        """Whether the lease's object counts still. Raises DestinationError."""

    @abstractmethod
    def _give_up(self) -> None:
        """Let others have the lease. Raises DestinationError."""


class _Alone(Lease):
    """The lease's highest epoch."""

    @property
    def epoch(self) -> int:
        """See `Lock`."""
        return int(self._name.rpartition("/")[2])

    def _is_ours(self) -> bool:
        return _highest(self._store.names(self._name.rpartition("/")[0])) == self.epoch

    def _give_up(self) -> None:
        if self._is_ours():
            # If it were deleted, the epoch could be taken again, and a former holder would believe it its own.
            self._store.replace(self._name, b"")


class _Shared(Lease):
    """One of the lease's readers."""

    @property
    def epoch(self) -> int:
        """See `Lock`. A reader writes nothing that could come late."""
        return 0

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


def _check_taken(store: LeaseObjects, folder: str, number: int) -> None:
    """Raise LockedError unless an epoch that was just taken counts: it is the highest, and all others are over."""
    names = store.names(folder)
    if _highest(names) != number:
        raise LockedError(f"{folder} has just been locked by another process")
    _check_free(store, folder, [name for name in names if name != f"{number:020d}"])
    _check_unread(store, folder, names)


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
    except ObjectMissingError:
        if name.rpartition("/")[2] in store.names(folder):  # the store contradicts itself
            return None, TERM
        return None, 0.0  # given up meanwhile, or there is a higher epoch


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
    return [int(name) for name in names if _EPOCH.match(name)]


def _highest(names: list[str]) -> int:
    return max(_epochs(names), default=0)


def _epoch(folder: str, number: int) -> str:
    return f"{folder}/{number:020d}"


def _own_record(line: str) -> _Holder:
    pid = os.getpid()
    return _Holder(line[:_LONGEST_HOLDER], _machine(), pid, _started(pid), os.urandom(16).hex())


def _dumped(record: _Holder) -> bytes:
    fields = {"holder": record.line, "machine": record.machine, "pid": record.pid}
    return json.dumps(fields | {"started": record.started, "token": record.token}, ensure_ascii=False).encode()


def _holder(data: bytes) -> _Holder | None:
    """Who holds a lease; None if the record is damaged: its term counts all the same."""
    try:
        found = json.loads(data)
        return _Holder(found["holder"], found["machine"], int(found["pid"]), found["started"], found["token"])
    except (ValueError, KeyError, TypeError):
        return None


def _machine() -> str:
    """The present boot of this machine, and what its process ids count in: a container has process ids of its own."""
    return f"{_BOOT_ID.read_text().strip()} {_PIDS.readlink()}"


def _has_ended(pid: int, started: str) -> bool:
    """Whether a process of this machine has ended; False for one that this user may not see."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return _started(pid) not in {"", started}
    return _started(pid) != started


def _started(pid: int) -> str:
    """When a process of this machine was started, empty if none is to be seen: a process id is given again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in _DEAD else fields[19]
