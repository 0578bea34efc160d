"""Turns sealed log into durable segments: encodes several at a time, stores strictly in order.

Because of the order a crash leaves no hole: segment n is never visible before n-1. Errors of the destination are
retried for as long as they last. An error that no retry can resolve (another writer's object) ends the round.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import NamedTuple

from redoubt.archive.encryption import Key
from redoubt.archive.segment import SegmentHeader, SegmentName, encode_segment, suffix_of
from redoubt.archive.store import PieceStore
from redoubt.archiver.asking import Retrier
from redoubt.model.seams import DestinationError

DEPTH = 3
"""The most segments in progress: one being stored, the others being encoded or waiting."""
SMALL = 64 * 1024
"""Bytes of log up to which the storing thread encodes the segment: another thread would cost more than it saves."""


@dataclass(frozen=True)
class Shipped:
    """A durable segment: its header, and its object's name, size in bytes, and SHA-256."""

    header: SegmentHeader
    name: SegmentName
    stored_bytes: int
    digest: str


class Shipper:
    """Ships one piece's segments.

    `encoders` compresses. `storer` must run one call at a time, in order. `asker` retries the storing. `notify()` is
    called when a segment is durable. Log of at most `small` bytes is encoded by the storer. `check(start_lsn, end_lsn)`
    is called before a segment is stored, and raises DestinationError as long as the segment must not be stored;
    `epoch()` is then the epoch in the segment's name. `check_after()` is called when the segment is stored, and raises
    DestinationError if it may not count. Log is encrypted with `key`, if there is one.
    """

    def __init__(
        self,
        store: PieceStore,
        encoders: Executor,
        storer: Executor,
        asker: Retrier,
        notify: Callable[[], None],
        small: int = SMALL,
        check: Callable[[int, int], None] = lambda _start, _end: None,
        epoch: Callable[[], int] = lambda: 0,
        check_after: Callable[[], None] = lambda: None,
        key: Key | None = None,
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._storer = storer
        self._asker = asker
        self._notify = notify
        self._small = small
        self._check = check
        self._epoch = epoch
        self._check_after = check_after
        self._key = key
        self._under_way: deque[Future[Shipped]] = deque()
        self._failed = False

    def has_room(self) -> bool:
        """Whether another segment may be handed over now."""
        return len(self._under_way) < DEPTH

    def is_idle(self) -> bool:
        """Whether everything handed over has been collected."""
        return not self._under_way

    def ship(self, header: SegmentHeader, log: bytes) -> None:
        """Hand over the next segment of the piece."""
        if len(log) <= self._small:
            stored = self._storer.submit(self._put, header, lambda: _encode(header, log, self._key))
        else:
            encoded = self._encoders.submit(_encode, header, log, self._key)
            stored = self._storer.submit(self._put_encoded, header, encoded)
        stored.add_done_callback(lambda _: self._notify())
        self._under_way.append(stored)

    def collect(self) -> list[Shipped]:
        """The segments that became durable since the last call, in order; then raises the error that ended shipping."""
        done: list[Shipped] = []
        while self._under_way and self._under_way[0].done():
            if done and self._under_way[0].exception() is not None:
                break
            done.append(self._under_way.popleft().result())
        return done

    def _put_encoded(self, header: SegmentHeader, encoded: Future[_Encoded]) -> Shipped:
        return self._put(header, encoded.result)

    def _put(self, header: SegmentHeader, encoded: Callable[[], _Encoded]) -> Shipped:
        """Store the next segment, unless storing an earlier one failed, because that would leave a hole."""
        if self._failed:
            raise DestinationError("the segment before was not stored")
        try:
            data, digest = encoded()
            name = self._asker.until_answered(lambda: self._put_checked(header, data))
        except BaseException:
            self._failed = True
            raise
        return Shipped(header, name, len(data), digest)

    def _put_checked(self, header: SegmentHeader, data: bytes) -> SegmentName:
        start, end = header.start_lsn, header.end_lsn
        self._check(start, end)
        name = SegmentName(start, end, suffix_of(header.codec, self._key), epoch=self._epoch())
        self._store.put(name, data)
        self._check_after()
        return name


class _Encoded(NamedTuple):
    data: bytes
    digest: str


def _encode(header: SegmentHeader, log: bytes, key: Key | None) -> _Encoded:
    data = encode_segment(header, log, key)
    return _Encoded(data, hashlib.sha256(data).hexdigest())
