"""Leases: who holds one, when it is over, and that never two processes hold one alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from redoubt.destinations import lease as module
from redoubt.destinations.lease import RENEWAL, TERM, TRUST, Lease
from redoubt.model.seams import (
    DestinationError,
    LockedError,
    NotPermittedError,
    ObjectExistsError,
    ObjectMissingError,
)

FOLDER = "a/.lock-writer"


@dataclass
class Store:
    """Objects with the times when they were written, by a clock of the store's own. `before(operation)` may fail."""

    now: float = 1_000_000.0
    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    before: Callable[[str, str], None] = lambda _operation, _name: None

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `LeaseObjects`."""
        self.before("put", name)
        if name in self.objects:
            raise ObjectExistsError(name)
        self.objects[name] = data, self.now

    def replace(self, name: str, data: bytes) -> None:
        """See `LeaseObjects`."""
        self.before("replace", name)
        self.objects[name] = data, self.now

    def get(self, name: str, offset: int, length: int) -> bytes:
        """See `LeaseObjects`."""
        self.before("get", name)
        return self._there(name)[0][offset : offset + length]

    def delete(self, name: str) -> None:
        """See `LeaseObjects`."""
        self.before("delete", name)
        self.objects.pop(name, None)

    def written_at(self, name: str) -> float:
        """See `LeaseObjects`."""
        return self._there(name)[1]

    def names(self, folder: str) -> list[str]:
        """See `LeaseObjects`."""
        self.before("names", folder)
        return sorted(name.removeprefix(f"{folder}/") for name in self.objects)

    def _there(self, name: str) -> tuple[bytes, float]:
        if name not in self.objects:
            raise ObjectMissingError(name)
        return self.objects[name]


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody renews a lease in the background."""
    monkeypatch.setattr(module, "_in_background", lambda _work: None)


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store()


def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows is on another machine."""
    monkeypatch.setattr(module, "_machine", lambda: "another machine")


def test_a_lease_is_over_when_its_term_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the store's clock; a second before, the holder is named, with what is left. The former holder finds out."""
    clock = [0.0]
    first = Lease.take(store, FOLDER, "worker 1 on host-a", lambda: clock[0])
    _elsewhere(monkeypatch)
    store.now += TERM - 1
    with pytest.raises(LockedError, match=r"is being written by worker 1 on host-a; its lease ends in 1 s unless"):
        Lease.take(store, FOLDER, "worker 2")
    store.now += 1
    second = Lease.take(store, FOLDER, "worker 2")
    clock[0] = TRUST

    assert second.is_in_place()
    assert not first.is_in_place()
    first.release()
    with pytest.raises(LockedError, match="worker 2"):
        Lease.take(store, FOLDER, "worker 3")


def test_a_lease_that_is_renewed_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at it asks the store for nothing."""
    clock = [0.0]
    lease = Lease.take(store, FOLDER, "worker 1", lambda: clock[0])
    _elsewhere(monkeypatch)
    for _ in range(20):
        clock[0] += RENEWAL
        store.now += RENEWAL
        lease._renew()
        store.before = _failing
        assert lease.is_in_place()
        store.before = _working
    with pytest.raises(LockedError):
        Lease.take(store, FOLDER, "worker 2")


def test_a_lease_is_renewed_in_the_background(store: Store) -> None:
    """Until it is lost; after a failure of the store sooner."""
    clock = [0.0]
    lease = Lease.take(store, FOLDER, "worker 1", lambda: clock[0])
    waits: list[float] = []

    def waited(seconds: float) -> bool:
        waits.append(seconds)
        clock[0] += seconds
        store.now += seconds
        store.before = _failing if len(waits) == 2 else _working
        if len(waits) == 4:
            store.objects[f"{FOLDER}/{9:020d}"] = b"{}", store.now
        return lease._ended.is_set()

    lease._ended.wait = waited  # type: ignore[method-assign, assignment]  # time that passes at once
    lease._keep()

    assert waits == [RENEWAL, RENEWAL, 10, RENEWAL, RENEWAL]
    assert not lease.is_in_place()


def test_a_holder_that_cannot_reach_the_store_loses_its_lease(store: Store) -> None:
    """Some minutes after its last renewal; it must take the lease again, even if nobody else has."""
    clock = [0.0]
    lease = Lease.take(store, FOLDER, "worker 1", lambda: clock[0])
    clock[0] = TRUST - 1
    assert lease.is_in_place()
    clock[0] = TRUST
    assert not lease.is_in_place()
    lease._renew()
    assert not lease.is_in_place()

    assert Lease.take(store, FOLDER, "worker 1", lambda: clock[0]).is_in_place()


def test_a_lease_that_was_renewed_meanwhile_is_not_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was stale when the other process looked, but not any more when that had stored its epoch."""
    first = Lease.take(store, FOLDER, "worker 1", lambda: 0.0)
    _elsewhere(monkeypatch)
    store.now += TERM

    def is_renewed(operation: str, name: str) -> None:
        if operation == "put" and name.endswith(f"{2:020d}"):
            store.before = _working
            first._renew()

    store.before = is_renewed
    with pytest.raises(LockedError, match="is being written by worker 1"):
        Lease.take(store, FOLDER, "worker 2")
    assert first.is_in_place()
    assert store.names(FOLDER) == [f"{1:020d}"]


def test_an_epoch_that_was_skipped_counts_for_nothing(store: Store) -> None:
    """Another process took it, gave it up, and removed it, while this one had not stored its own yet."""
    Lease.take(store, FOLDER, "worker 0").release()
    later: list[Lease] = []

    def is_overtaken(operation: str, name: str) -> None:
        if operation == "put" and name.endswith(f"{2:020d}"):
            store.before = _working
            Lease.take(store, FOLDER, "worker 1").release()
            later.append(Lease.take(store, FOLDER, "worker 2"))

    store.before = is_overtaken
    with pytest.raises(LockedError, match="has just been locked by another process"):
        Lease.take(store, FOLDER, "worker 3")
    assert later[0].is_in_place()
    assert store.names(FOLDER) == [f"{3:020d}"]


def test_a_lease_that_could_not_be_given_up_is_free_for_its_own_process(store: Store) -> None:
    """The store was away. On other machines the term ends it."""
    lease = Lease.take(store, FOLDER, "worker 1")
    store.before = _failing
    lease.release()
    store.before = _working

    assert Lease.take(store, FOLDER, "worker 1").is_in_place()


def test_a_reader_without_the_right_to_write_has_no_lock(store: Store) -> None:
    """It reads all the same."""
    Lease.take(store, FOLDER, "worker 1").release()

    def refused(operation: str, _name: str) -> None:
        if operation == "put":
            raise NotPermittedError("AccessDenied")

    store.before = refused
    assert Lease.share(store, FOLDER) is None


def test_a_store_that_contradicts_itself_frees_no_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists an object that it does not have, as a bad server behind a balancer may."""
    Lease.take(store, FOLDER, "worker 1")
    _elsewhere(monkeypatch)

    def missing(operation: str, name: str) -> None:
        if operation == "get":
            raise ObjectMissingError(name)

    store.before = missing
    with pytest.raises(LockedError, match="is being written by another process"):
        Lease.take(store, FOLDER, "worker 2")


def test_a_lease_whose_process_is_gone_is_free_at_once(store: Store) -> None:
    """On its own machine. A process that has the same id, but was started later, is another one."""
    code = "from redoubt.destinations import lease; print(lease._dumped(lease._own_record('worker 1')).decode())"
    written = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    own = json.loads(module._dumped(module._own_record("worker 1")))
    for record in (written, json.dumps(own | {"started": "1"}).encode()):
        store.objects = {f"{FOLDER}/{3:020d}": (record, store.now)}
        lease = Lease.take(store, FOLDER, "worker 2")
        assert store.names(FOLDER) == [f"{4:020d}"]
        lease.release()
    assert json.loads(written)["pid"] != os.getpid()


@pytest.mark.parametrize("record", [b"nothing", b"[]", b'{"pid": "x"}', b"\xff"])
def test_a_damaged_lease_ends_with_its_term(store: Store, record: bytes) -> None:
    """Whoever holds it."""
    store.objects = {f"{FOLDER}/{1:020d}": (record, store.now)}
    with pytest.raises(LockedError, match="is being written by another process"):
        Lease.take(store, FOLDER, "worker 2")
    store.now += TERM

    assert Lease.take(store, FOLDER, "worker 2").is_in_place()


def test_no_epoch_is_taken_twice(store: Store) -> None:
    """A holder that was away while the lease was taken and given up does not believe it its own."""
    for epoch in range(1, 4):
        Lease.take(store, FOLDER, "worker").release()
        assert store.names(FOLDER) == [f"{epoch:020d}"]


def test_of_two_that_take_a_lease_at_once_one_gets_it(store: Store) -> None:
    """The store decides."""

    def overtaken(operation: str, name: str) -> None:
        store.before = _working
        if operation == "put":
            store.objects[name] = b"{}", store.now

    store.before = lambda operation, name: overtaken(operation, name) if operation == "put" else None
    with pytest.raises(LockedError, match="has just been locked by another process"):
        Lease.take(store, FOLDER, "worker 1")


def test_an_answer_that_was_lost_locks_nobody_out(store: Store) -> None:
    """The lease that was taken is known by its token; so are a reader's object, and the one that tells the time."""
    original = store.put_if_absent

    def put(name: str, data: bytes) -> None:
        store.objects.setdefault(name, (data, store.now))
        original(name, data)

    store.put_if_absent = put  # type: ignore[method-assign]  # the first try arrives, its answer does not
    lease = Lease.take(store, FOLDER, "worker 1")
    assert lease.is_in_place()
    with pytest.raises(LockedError, match="worker 1"):
        Lease.take(store, FOLDER, "worker 2")
    lease.release()
    reader = Lease.share(store, FOLDER)
    assert reader is not None
    reader.release()


def test_a_reader_and_a_writer_that_begin_at_once_see_each_other(store: Store) -> None:
    """After its own object is there, each looks for the other's."""
    Lease.take(store, FOLDER, "worker 1").release()
    readers: list[Lease | None] = []

    def reader_first(operation: str, name: str) -> None:
        if operation == "put" and name.endswith(f"{2:020d}"):
            store.before = _working
            readers.append(Lease.share(store, FOLDER))

    store.before = reader_first
    with pytest.raises(LockedError, match="is being read"):
        Lease.take(store, FOLDER, "worker 2")
    for reader in readers:
        assert reader is not None
        reader.release()

    def writer_first(operation: str, name: str) -> None:
        if operation == "put" and "reader-" in name:
            store.before = _working
            Lease.take(store, FOLDER, "worker 3")

    store.before = writer_first
    with pytest.raises(LockedError, match="is being written by worker 3"):
        Lease.share(store, FOLDER)
    assert not any("reader-" in name for name in store.objects)


def test_a_reader_that_is_gone_holds_up_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its object is removed when its term is over; a reader that wakes up then finds out."""
    Lease.take(store, FOLDER, "worker 1").release()
    clock = [0.0]
    reader = Lease.share(store, FOLDER, lambda: clock[0])
    assert reader is not None
    _elsewhere(monkeypatch)
    with pytest.raises(LockedError, match="wait until that has ended, or 600 s if its process was killed"):
        Lease.take(store, FOLDER, "worker 2")
    store.now += TERM
    clock[0] = TERM
    Lease.take(store, FOLDER, "worker 2")

    assert not reader.is_in_place()


def _failing(_operation: str, _name: str) -> None:
    raise DestinationError("no answer")


def _working(_operation: str, _name: str) -> None:
    return None


class Machines(RuleBasedStateMachine):
    """Three machines with clocks that do not agree take, lose and give up one lease, in any order, over failures."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.elapsed = 0.0
        self.leases: dict[int, Lease] = {}
        self.machine = module._machine

    def teardown(self) -> None:
        """See `RuleBasedStateMachine`."""
        module._machine = self.machine

    @rule(who=st.integers(0, 2))
    def take(self, who: int) -> None:
        """A machine tries to take the lease."""
        if who in self.leases:
            return
        module._machine = lambda: f"machine {who}"
        with _refused():
            self.leases[who] = Lease.take(self.store, FOLDER, str(who), lambda: self.elapsed + 1000 * who)

    @rule(who=st.integers(0, 2))
    def give_up(self, who: int) -> None:
        """A holder releases."""
        if who in self.leases:
            self.leases.pop(who).release()

    @rule(seconds=st.sampled_from([1.0, RENEWAL, TRUST, TERM - RENEWAL, TERM, 3 * TERM]))
    def pass_time(self, seconds: float) -> None:
        """Nobody does anything for a while."""
        self.elapsed += seconds
        self.store.now += seconds

    @rule(who=st.integers(0, 2), kind=st.sampled_from(["replace", "put", "names", "get", "delete"]))
    def fail(self, who: int, kind: str) -> None:
        """A holder renews while the store fails."""
        self.store.before = lambda operation, name: _failing(operation, name) if operation == kind else None
        if who in self.leases:
            with _refused():
                self.leases[who]._renew()
        self.store.before = _working

    @rule(who=st.integers(0, 2))
    def renew(self, who: int) -> None:
        """The time for a renewal has come."""
        if who in self.leases and not self.leases[who]._ended.is_set():
            self.leases[who]._renew()

    @precondition(lambda self: self.leases)
    @invariant()
    def one_holder(self) -> None:
        """At most one machine may write."""
        assert sum(lease.is_in_place() for lease in self.leases.values()) <= 1


class _refused:  # noqa: N801 - used like a function
    """What the store or another holder refuses is no fault."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, DestinationError)


TestMachines = Machines.TestCase
