"""What a schedule archives to: a directory on a disk that forgets, or a bucket in an object store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

from redoubt.destinations import file, file_lock, lease, object_store
from redoubt.destinations.file import FileDestination
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Addressing, Scheme, StorePlace
from redoubt.model.seams import Destination

from . import fibers
from .bucket import Bucket, Client
from .disk import Disk
from .faults import Faults
from .processes import Process, Processes
from .system import Calm, System

ROOT = "/backup"
Doubles = list[tuple[ModuleType, str, object]]
_CALM = Calm()
_PLACE = StorePlace(Scheme.S3, "bucket", "", "http://store", "us-east-1", Addressing.PATH)


class Contents(Protocol):
    """What lies in a destination, as the checker looks at it. Paths begin with `ROOT`."""

    def files(self, path: str) -> dict[str, bytes]:
        """The objects directly in a folder by name, with their bytes; none if there is no such folder."""
        ...

    def folders(self, path: str) -> list[str]:
        """The names of the folders directly in a folder; none if there is no such folder."""
        ...


class Medium(Protocol):
    """A place for backups. `doubles` stand in the product while a schedule runs."""

    uri: str
    ticks: tuple[float, ...]
    """Seconds between two steps while a round comes to its end."""
    doubles: Doubles

    @property
    def now(self) -> Any:
        """What lies there now."""
        ...

    def destination(self) -> Destination:
        """The place as the current process uses it, with all that goes wrong."""
        ...

    def as_it_may_be(self) -> Any:
        """What might be found if all machines lost their power now."""
        ...

    def lose_power(self) -> None:
        """All machines lose their power."""
        ...

    def end_process(self) -> None:
        """The current process is gone."""
        ...

    def pass_time(self) -> None:
        """What had to happen by now happens."""
        ...

    def reading(self, contents: Any) -> Any:
        """A context in which `contents` is read as a destination, and nothing goes wrong."""
        ...


class DiskMedium:
    """A directory."""

    uri = f"file://{ROOT}"
    ticks: tuple[float, ...] = (0.05, 0.2, 1.0, 6.0)

    def __init__(self, rng: random.Random, fate: Faults) -> None:
        disk = Disk()
        disk.root.set(ROOT[1:], type(disk.root)())
        disk.root.sync()
        self._rng = rng
        self._system = System(disk, rng, fate)
        self.doubles: Doubles = [
            (file, "os", self._system),
            (file_lock, "os", self._system),
            (file_lock, "fcntl", self._system),
        ]

    @property
    def now(self) -> Disk:
        """See `Medium`."""
        return self._system.disk

    def destination(self) -> Destination:
        """See `Medium`."""
        return FileDestination(Path(ROOT))

    def as_it_may_be(self) -> Disk:
        """See `Medium`."""
        return self._system.disk.after_power_loss(self._rng)

    def lose_power(self) -> None:
        """See `Medium`."""
        self._system.disk = self.as_it_may_be()

    def end_process(self) -> None:
        """See `Medium`."""
        self._system.end_processes()

    def pass_time(self) -> None:
        """See `Medium`."""

    @contextmanager
    def reading(self, contents: Disk) -> Iterator[Destination]:
        """See `Medium`."""
        system, fate, before = self._system, self._system.fate, self._system.disk
        system.fate, system.disk = _CALM, contents
        try:
            yield FileDestination(Path(ROOT))
        finally:
            system.fate, system.disk = fate, before


class BucketMedium:
    """A bucket."""

    uri = "s3://bucket?host=store"
    ticks: tuple[float, ...] = (1.0, 6.0, 30.0)  # a lease ends only with time

    def __init__(
        self, rng: random.Random, turns: fibers.Turns, processes: Processes, calm: Faults, disputed: set[int]
    ) -> None:
        self.now = Bucket(turns, rng)
        self._turns = turns
        self._processes = processes
        self._calm = calm
        self._disputed = disputed
        self._read = self.now
        self.doubles: Doubles = [
            (object_store, "_client", self._client),
            (object_store, "_listed", lambda client, folder: client.listed(folder)),
            (object_store, "time", SimpleNamespace(sleep=lambda seconds: fibers.Event().wait(seconds))),
            (lease, "os", SimpleNamespace(urandom=rng.randbytes, getpid=processes.getpid)),
            (lease, "time", SimpleNamespace(clock_gettime=lambda _clock: turns.now, CLOCK_BOOTTIME=0)),
            (lease, "threading", SimpleNamespace(Event=fibers.Event, Lock=fibers.Lock)),
            (lease, "_live", set()),
            (lease, "_machine", processes.machine),
            (lease, "_started", processes.started),
            (lease, "_has_ended", processes.has_ended),
            (lease, "_in_background", self._in_background),
        ]

    def destination(self) -> Destination:
        """See `Medium`."""
        return ObjectStoreDestination(self.uri, _PLACE, lambda _uri: None)

    def as_it_may_be(self) -> Bucket:
        """See `Medium`. What was stored is stored."""
        return self.now.as_it_may_be()

    def lose_power(self) -> None:
        """See `Medium`. The store's own machines keep theirs."""

    def end_process(self) -> None:
        """See `Medium`."""

    def pass_time(self) -> None:
        """See `Medium`."""
        self.now.deliver_due()

    @contextmanager
    def reading(self, contents: Bucket) -> Iterator[Destination]:
        """See `Medium`."""
        before, self._read = self._read, contents
        current, self._processes.current = self._processes.current, None
        try:
            yield self.destination()
        finally:
            self._read, self._processes.current = before, current

    def _client(self, _place: StorePlace, _access: object) -> Any:
        process = self._processes.current
        client: Any
        if process is None:
            client = Client(self._read, self._calm, lambda _name: None)
        else:
            client = Client(self.now, process.fate, lambda name: self._dispute(process, name))
        return object_store._Client(client, client)

    def _dispute(self, process: Process, name: str) -> None:
        """Note that a worker without a service takes the lease of this name."""
        if not process.has_service:
            self._disputed.add(int(name.partition("/clog/")[2].partition("/")[0].partition("_")[0]))

    def _in_background(self, work: Any) -> None:
        thread = fibers.FiberExecutor(self._turns, "lease")
        thread.submit(work)
        self._processes.threads().append(thread)
