"""Gathers pieces of files into parts, and stores them while the next ones are being read."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from redoubt.archive.part import PartHeader, encode_part
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import SetPart
from redoubt.archive.set_store import SetStore

_PART_SIZE = 16 * 1024 * 1024
_UNDER_WAY = 2
"""Parts that are encoded and stored at a time: what bounds the memory."""


class PartWriter:
    """The parts of one set, in order. Leave it as a context: what is under way ends then."""

    def __init__(self, store: SetStore, info: SetInfo) -> None:
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

    def add(self, data: bytes) -> tuple[int, int]:
        """Take a piece: the number of the part that gets it, and its offset there. Raises DestinationError."""
        place = self._number, len(self._content)
        self._content += data
        if len(self._content) >= _PART_SIZE:
            self._send()
        return place

    def finish(self) -> tuple[SetPart, ...]:
        """Store what is left, and wait: all parts, durable. Raises DestinationError."""
        if self._content:
            self._send()
        return tuple(future.result() for future in self._futures)

    def _send(self) -> None:
        if len(self._futures) >= _UNDER_WAY:
            self._futures[-_UNDER_WAY].result()
        self._futures.append(self._pool.submit(self._put, self._number, bytes(self._content)))
        self._number += 1
        self._content.clear()

    def _put(self, number: int, content: bytes) -> SetPart:
        info = self._info
        header = PartHeader(info.cluster, info.cluster_id, info.tenant_id, info.source, info.set_id, number)
        return self._store.put_part(number, encode_part(header, content))
