"""Stand-ins for what the archive works with: destination and log in memory, executors without threads, a hand clock."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

import google_crc32c
import pytest
from hypothesis import strategies as st

from redoubt.archive.encryption import Key
from redoubt.archive.layout import ClusterPath
from redoubt.archive.master_keys import FORMER_MASTER_KEYS, MASTER_KEY
from redoubt.archive.record import Record, record_of, stored_fields
from redoubt.archive.segment import PieceIdentity, SegmentHeader
from redoubt.archive.store import PieceStore
from redoubt.archiver.archival import JobResources
from redoubt.archiver.archiver import SealRule
from redoubt.messages.archiving import ArchivePiece
from redoubt.model.log import LogBatch, LogDamagedError, LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import (
    DestinationError,
    Lock,
    LockedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
)

P = ParamSpec("P")
R = TypeVar("R", bound=Record)
T = TypeVar("T")

NAMES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=255)
"""What a name in a record may be."""
OF = PieceIdentity(cluster="redoubt", cluster_id=1, incarnation=1, tenant_id=1001, round=3, piece=0, source="engine-a")


class CrashError(BaseException):
    """The process is gone at this point."""


@dataclass
class MemoryDestination:
    """A `Destination` that keeps its objects in a dictionary.

    `failing(operation, name)` is called before each operation, `lost_answer` after a put: what they raise is raised.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    failing: Callable[[str, str], None] = lambda _operation, _name: None
    lost_answer: Callable[[str], None] = lambda _name: None
    stored: list[str] = field(default_factory=list)
    locks: dict[str, str] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `Destination`."""
        self.failing("put", name)
        if name in self.objects:
            raise ObjectExistsError(f"{name} exists already")
        self.objects[name] = data
        self.stored.append(name)
        self.lost_answer(name)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See `Destination`."""
        self.failing("get", name)
        try:
            data = self.objects[name][offset:]
        except KeyError:
            raise ObjectMissingError(f"{name} is not there") from None
        return data if length is None else data[:length]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Destination`."""
        self.failing("list", prefix)
        objects = self.objects.copy()  # another thread may be storing
        return iter(
            [ObjectInfo(name, len(objects[name])) for name in sorted(objects) if name.rpartition("/")[0] == prefix]
        )

    def folders(self, prefix: str) -> Iterator[str]:
        """See `Destination`."""
        self.failing("folders", prefix)
        base = f"{prefix}/" if prefix else ""
        under = [name.removeprefix(base) for name in self.objects.copy() if name.startswith(base)]
        return iter(sorted({name.partition("/")[0] for name in under if "/" in name}))

    def delete(self, name: str) -> None:
        """See `Destination`."""
        self.failing("delete", name)
        self.objects.pop(name, None)

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:
        """See `Destination`. After a simulated crash, the test clears `locks`, as a process's end does."""
        self.failing("lock", name)
        if name in self.locks:
            raise LockedError(f"{name} is held by {self.locks[name]}")
        if self.readers[name]:
            raise LockedError(f"{name} is being read")
        self.locks[name] = holder
        return MemoryLock(self.locks, name)

    def share(self, name: str) -> Lock | None:
        """See `Destination`."""
        self.failing("share", name)
        if name in self.locks:
            raise LockedError(f"{name} is held by {self.locks[name]}")
        self.readers[name] += 1
        return SharedMemoryLock(self.readers, name)

    def probe(self) -> None:
        """See `Destination`."""
        self.failing("probe", "")


@dataclass
class MemoryLock:
    """A lock of a `MemoryDestination`."""

    locks: dict[str, str]
    name: str
    epoch: int = 0

    def is_in_place(self) -> bool:
        """See `Lock`. Memory is not exchanged."""
        return True

    def release(self) -> None:
        """See `Lock`."""
        self.locks.pop(self.name, None)


@dataclass
class SharedMemoryLock:
    """A reader's share of a lock of a `MemoryDestination`."""

    readers: Counter[str]
    name: str
    epoch: int = 0

    def is_in_place(self) -> bool:
        """See `Lock`."""
        return True

    def release(self) -> None:
        """See `Lock`."""
        if self.name:
            self.readers[self.name] -= 1
            self.name = ""


def down(_operation: str, _name: str) -> None:
    """What a destination that does not answer does at every operation."""
    raise DestinationError("the medium is gone")


def chained(data: bytes, chain: int) -> int:
    """The checksum of a log that goes on with `data`."""
    return int(google_crc32c.extend(chain, data))


class MemoryLog:
    """A log of groups, and the `LogReader` of it. Group n has the SCN 100 * (n + 1)."""

    def __init__(self, start_lsn: int = 0) -> None:
        self.groups: list[LogBatch] = []
        self.start = LogPosition(start_lsn, 0, 0)
        self.reads = 0
        self.is_closed = False
        self.failing: Callable[[], None] = lambda: None

    @property
    def end(self) -> LogPosition:
        """Where the log ends now."""
        return self.groups[-1].end if self.groups else self.start

    @property
    def data(self) -> bytes:
        """All of the log."""
        return b"".join(group.data for group in self.groups)

    def append(self, *groups: bytes, is_upkeep: bool = False) -> None:
        """The engine writes groups, for somebody or as its own upkeep."""
        for data in groups:
            start, scn = self.end, 100 * (len(self.groups) + 1)
            end = LogPosition(start.lsn + len(data), scn, chained(data, start.chain or 0))
            self.groups.append(LogBatch(data, start, end, scn, is_upkeep))

    def read(self, position: LogPosition, limit: int) -> LogBatch | None:
        """See `LogReader`."""
        self.reads += 1
        self.failing()
        rest = [group for group in self.groups if group.start.lsn >= position.lsn]
        if not rest:
            return None
        if rest[0].start.lsn != position.lsn or position.chain not in {None, rest[0].start.chain}:
            raise LogDamagedError(f"the log at LSN {position.lsn} does not continue what was read before")
        taken, size = [rest[0]], len(rest[0].data)
        for group in rest[1:]:
            if size + len(group.data) > limit:
                break
            taken.append(group)
            size += len(group.data)
        data, is_upkeep = b"".join(group.data for group in taken), all(group.is_upkeep for group in taken)
        return LogBatch(data, position, taken[-1].end, taken[0].min_scn, is_upkeep)

    def close(self) -> None:
        """See `LogReader`."""
        self.is_closed = True


class InlineExecutor(Executor):
    """Runs what is submitted at once, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`. A crash goes to the caller, everything else to the future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as every executor does
            future.set_exception(error)
        return future


class PatientExecutor(Executor):
    """Keeps what is submitted until it is told to run it."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Future[Any], Callable[[], Any], list[Future[Any]]]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`."""
        future: Future[T] = Future()
        needed = [argument for argument in args if isinstance(argument, Future)]
        self.waiting.append((future, lambda: fn(*args, **kwargs), needed))
        return future

    def is_ready(self) -> bool:
        """Whether the next job would not wait for another one's result."""
        return bool(self.waiting) and all(future.done() for future in self.waiting[0][2])

    def run_one(self, index: int = 0) -> None:
        """Do one of the waiting jobs."""
        future, work, _ = self.waiting[index]
        del self.waiting[index]
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - as every executor does
            future.set_exception(error)

    def run_all(self) -> None:
        """Do all of the waiting jobs in order."""
        while self.waiting:
            self.run_one()


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


class Pause:
    """Notes how long each pause is, and does not wait. `before_each` is called first; `limit` pauses are allowed."""

    def __init__(self, limit: int = 1000) -> None:
        self.seconds: list[float] = []
        self.limit = limit
        self.before_each: Callable[[], None] = lambda: None

    def __call__(self, seconds: float) -> bool:
        """Whether to go on trying."""
        self.before_each()
        self.seconds.append(seconds)
        return len(self.seconds) < self.limit


def changed(record: R, **changes: Any) -> R:
    """The record with other values, by the names under which they are stored."""
    return record_of(type(record), stored_fields(record) | changes)


def header_of(log: bytes, codec: str = "none", start_lsn: int = 0, **changes: Any) -> SegmentHeader:
    """A segment header that fits `log`."""
    header = SegmentHeader(
        OF,
        start_lsn=start_lsn,
        end_lsn=start_lsn + len(log),
        min_scn=100,
        max_scn=200,
        chain_before=7,
        chain_after=chained(log, 7),
        codec=codec,
    )
    return changed(header, **changes)


def random_log(size: int, seed: int = 1) -> bytes:
    """Bytes that compress a little, the same for the same arguments."""
    return bytes(random.Random(seed).choices(b"abcdefgh\0\xff", k=size))


TASK = ArchivePiece(
    tenant_id=OF.tenant_id,
    tenant="main",
    base_dir="/nowhere",
    source=OF.source,
    destination="memory",
    cluster=OF.cluster,
    cluster_id=OF.cluster_id,
    identity="f00d",
    round=OF.round,
    piece=OF.piece,
    start_scn=50,
    start_lsn=0,
)
PATH = ClusterPath(OF.cluster, OF.cluster_id).piece(OF.tenant_id, PieceKey(OF.round))


def archived(destination: MemoryDestination) -> bytes:
    """The log that a destination holds of the round, with every check made that a restore would make."""
    destination.failing, destination.lost_answer = (lambda _operation, _name: None), (lambda _name: None)
    return log_in(PieceStore(destination, PATH))


def log_in(store: PieceStore) -> bytes:
    """The log that a piece holds, with every check made that a restore would make."""
    log, chain = b"", 0
    for name, _size in store.segments():
        header, data = store.read(name)
        assert header.chain_before in {None, chain}
        assert chained(data, chain) == header.chain_after
        log, chain = log + data, header.chain_after
    return log


def small_resources(**changes: Any) -> JobResources:
    """What a job works with: no threads, a clock by hand, segments of about 40 bytes."""
    resources = JobResources(
        encoders=InlineExecutor(),
        storer=InlineExecutor(),
        merger=InlineExecutor(),
        now=lambda: 1_700_000_000_000_000_000,
        holder="a test",
        clock=Clock(),
        notify=lambda: None,
        codec=lambda: "none",
        seal=SealRule(size=40, age=1.0),
        small=0,
    )
    return replace(resources, **changes)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)  # between two looks, not for something to have happened


def know(monkeypatch: pytest.MonkeyPatch, present: Key | None, *former: Key) -> None:
    """Make master keys known, by environment variables of their own."""
    for key in [*former, *([present] if present else [])]:
        monkeypatch.setenv(f"KEY_{key.id}", key.secret.hex())
    monkeypatch.setenv(MASTER_KEY, f"env:KEY_{present.id}" if present else "")
    monkeypatch.setenv(FORMER_MASTER_KEYS, "\n".join(f"env:KEY_{key.id}" for key in former))
