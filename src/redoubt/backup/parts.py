"""Gathers chunks of files into parts, and stores parts while the next chunks are read.

A file that is read several times leaves outdated chunks. A part that holds only outdated chunks is removed before the
set is complete. In other parts outdated chunks stay: storing the rest again would cost as much as it saves. If the
backup fails, its parts are removed, because they may have filled the disk.
"""

from __future__ import annotations

from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

from redoubt.archive.encryption import Key
from redoubt.archive.part import PartHeader, encode_part
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import SetPart
from redoubt.archive.set_store import SetStore
from redoubt.backup.pace import Pace
from redoubt.model.seams import DestinationError, ObjectExistsError

_PART_SIZE = 16 * 1024 * 1024
_UNDER_WAY = 2
"""Parts encoded and stored at a time; this bounds the memory."""


class PartWriter:
    """The parts of one set, in order, encrypted if there is a `key`. A context: leaving waits for running work."""

    def __init__(self, store: SetStore, info: SetInfo, key: Key | None = None, pace: Pace | None = None) -> None:
        self._pace = pace or Pace(0)
        self._key = key
        self._store = store
        self._info = info
        self._number = 1
        self._content = bytearray()
        self._pool = ThreadPoolExecutor(max_workers=_UNDER_WAY, thread_name_prefix="store-part")
        self._futures: list[Future[SetPart]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if error is not None:
            self._remove_all()

    def add(self, data: bytes) -> tuple[int, int]:
        """Add a chunk; returns the number of its part and its offset there. Raises DestinationError."""
        place = self._number, len(self._content)
        self._content += data
        if len(self._content) >= _PART_SIZE:
            self._send()
        return place

    def finish(self, needed: Container[int]) -> tuple[SetPart, ...]:
        """Store the rest and wait. Returns the parts of the `needed` numbers, durable; removes the others.

        Raises DestinationError.
        """
        if self._content:
            self._send()
        parts = [future.result() for future in self._futures]
        for part in parts:
            if part.number not in needed:
                self._store.remove_part(part.number)
        return tuple(part for part in parts if part.number in needed)

    def _send(self) -> None:
        if len(self._futures) >= _UNDER_WAY:
            self._futures[-_UNDER_WAY].result()
        self._futures.append(self._pool.submit(self._put, self._number, bytes(self._content)))
        self._number += 1
        self._content.clear()

    def _put(self, number: int, content: bytes) -> SetPart:
        of = self._info.of
        header = PartHeader(of.cluster, of.cluster_id, of.tenant_id, of.source, of.set_id, number)
        data = encode_part(header, content, self._key)
        self._pace.wait(len(data))
        return self._store.put_part(number, data)

    def _remove_all(self) -> None:
        """Remove all stored parts, except objects of others and objects that the destination fails to remove."""
        for number, future in enumerate(self._futures, 1):
            if not future.cancelled() and not isinstance(future.exception(), ObjectExistsError):
                with suppress(DestinationError):  # the first error says more
                    self._store.remove_part(number)
